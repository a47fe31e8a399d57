// Whether a CUDA device runs this library's kernels at all.
#pragma once

#include <cuda_runtime_api.h>

namespace actormimic::ops::cuda {

// cudaSuccess where `device` runs code of this build; else what keeps it from that, as a driver
// older than the runtime (cudaErrorInsufficientDriver) or no machine code for the device and no PTX
// that its driver knows (cudaErrorNoKernelImageForDevice). Launches nothing.
cudaError_t runs_code(int device);

}  // namespace actormimic::ops::cuda
