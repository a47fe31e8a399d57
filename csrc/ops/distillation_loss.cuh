// The Actor-Mimic loss on a CUDA device: the launcher of distillation_loss_kernel.cuh.
#pragma once

#include <cuda_runtime_api.h>

#include "ops/distillation_loss.hpp"

namespace actormimic::ops::cuda {

// Enqueues one kernel on `stream` of `device`, whichever device is current, and returns without
// waiting; all addresses of `batch` are memory of that device and must live until the kernel has
// run. Allocates nothing and can be captured in a graph.
//
// Launches on one stream share scratch memory that is kept; so do the launches that one capture
// makes on one stream. A device has room for 160 streams and 96 captured ones. Past 96 the scratch
// memory of the oldest capture is used again: a graph of that age must not run beside the new one,
// nor may two instances of one graph run at the same time.
//
// Throws std::invalid_argument for settings or a batch that check_call refuses, for a `total` that
// is not memory of `device` (the other addresses are not looked at) and for cudaStreamPerThread,
// std::runtime_error for a stream too many; returns what CUDA returns otherwise. A row without a
// valid action gives NaN.
cudaError_t distillation_loss(const DistillationSettings& settings, const DistillationBatch& batch,
                              int device, cudaStream_t stream);

}  // namespace actormimic::ops::cuda
