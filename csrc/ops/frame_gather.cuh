// The frame gather on a CUDA device: the launcher of frame_gather_kernel.cuh.
#pragma once

#include <cuda_runtime_api.h>

#include "ops/frame_gather.hpp"

namespace actormimic::ops::cuda {

// Enqueues one kernel on `stream` of `device`, whichever device is current, and returns without
// waiting; all addresses are memory of that device. Allocates nothing and can be captured in a
// graph, whose replay then reads frames and index anew. Throws std::invalid_argument for what
// check() refuses and for frames that are not memory of `device` (the other addresses are not
// looked at); returns what CUDA returns otherwise. An index outside [-1, frame_count) gives a frame
// of NaN.
cudaError_t gather_frames(const FrameGather& gather, int device, cudaStream_t stream);

}  // namespace actormimic::ops::cuda
