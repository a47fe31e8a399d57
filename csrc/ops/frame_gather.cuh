// The draw of transitions and the frame gather on a CUDA device: the launchers of
// transition_draw_kernel.cuh and frame_gather_kernel.cuh.
#pragma once

#include <cuda_runtime_api.h>

#include "ops/frame_gather.hpp"
#include "ops/transition_draw.hpp"

namespace actormimic::ops::cuda {

// Each enqueues one kernel on `stream` of `device`, whichever device is current, and returns
// without waiting; all addresses are memory of that device. They allocate nothing and can be
// captured in a graph, whose replay then reads tables, index and counter anew. Throw
// std::invalid_argument for what check() refuses and for memory of another device; return what CUDA
// returns otherwise. An index outside [-1, frame_count) gives a frame of NaN.
cudaError_t gather_frames(const FrameGather& gather, int device, cudaStream_t stream);
cudaError_t draw_transitions(const TransitionDraw& draw, int device, cudaStream_t stream);

}  // namespace actormimic::ops::cuda
