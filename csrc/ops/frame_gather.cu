#include "ops/frame_gather.cuh"

#include "ops/frame_gather_kernel.cuh"
#include "ops/launch.cuh"

namespace actormimic::ops::cuda {

namespace {

template <typename Element>
cudaError_t launch(const FrameGather& gather, cudaStream_t stream) {
  const unsigned stacks = static_cast<unsigned>(gather.stacks);
  return gather.channels_last
             ? enqueue(gather_channels_last_kernel<Element>, stacks, kGatherThreads, stream, gather)
             : enqueue(gather_kernel<Element>, stacks * kStack, kGatherThreads, stream, gather);
}

}  // namespace

cudaError_t gather_frames(const FrameGather& gather, int device, cudaStream_t stream) {
  gather.check();
  if (gather.stacks == 0) return cudaSuccess;
  const DeviceGuard guard(device);
  if (guard.error() != cudaSuccess) return guard.error();
  if (gather.frame_count > 0) {
    const cudaError_t error = require_memory_of(device, "frames", gather.frames);
    if (error != cudaSuccess) return error;
  }
  switch (gather.type) {
    case ElementType::kBFloat16:
      return launch<BFloat16>(gather, stream);
    case ElementType::kFloat16:
      return launch<Float16>(gather, stream);
    default:
      return launch<float>(gather, stream);
  }
}

}  // namespace actormimic::ops::cuda
