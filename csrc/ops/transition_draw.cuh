// The draw of transitions on a CUDA device: the launcher of transition_draw_kernel.cuh.
#pragma once

#include <cuda_runtime_api.h>

#include "ops/transition_draw.hpp"

namespace actormimic::ops::cuda {

// Enqueues one kernel on `stream` of `device`, whichever device is current, and returns without
// waiting; all addresses are memory of that device. Allocates nothing and can be captured in a
// graph, whose replay then reads tables and counter anew. Throws std::invalid_argument for what
// check() refuses and for a counter that is not memory of `device` (the other addresses are not
// looked at); returns what CUDA returns otherwise.
cudaError_t draw_transitions(const TransitionDraw& draw, int device, cudaStream_t stream);

}  // namespace actormimic::ops::cuda
