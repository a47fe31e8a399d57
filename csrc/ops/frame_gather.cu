#include "ops/frame_gather.cuh"

#include "ops/device_guard.cuh"
#include "ops/frame_gather_kernel.cuh"
#include "ops/transition_draw_kernel.cuh"

namespace actormimic::ops::cuda {

namespace {

template <typename Element>
cudaError_t launch(const FrameGather& gather, cudaStream_t stream) {
  const unsigned stacks = static_cast<unsigned>(gather.stacks);
  if (gather.channels_last)
    gather_channels_last_kernel<Element><<<stacks, kGatherThreads, 0, stream>>>(gather);
  else
    gather_kernel<Element><<<stacks * kStack, kGatherThreads, 0, stream>>>(gather);
  return cudaGetLastError();
}

}  // namespace

cudaError_t gather_frames(const FrameGather& gather, int device, cudaStream_t stream) {
  gather.check();
  if (gather.stacks == 0) return cudaSuccess;
  const DeviceGuard guard(device);
  if (guard.error() != cudaSuccess) return guard.error();
  if (gather.frame_count > 0) require_memory_of(device, "frames", gather.frames);
  switch (gather.type) {
    case ElementType::kBFloat16:
      return launch<BFloat16>(gather, stream);
    case ElementType::kFloat16:
      return launch<Float16>(gather, stream);
    default:
      return launch<float>(gather, stream);
  }
}

cudaError_t draw_transitions(const TransitionDraw& draw, int device, cudaStream_t stream) {
  draw.check();
  const DeviceGuard guard(device);
  if (guard.error() != cudaSuccess) return guard.error();
  require_memory_of(device, "counter", draw.counter);
  transition_kernel<<<1, kDrawThreads, 0, stream>>>(draw);
  return cudaGetLastError();
}

}  // namespace actormimic::ops::cuda
