#include "ops/transition_draw.cuh"

#include "ops/launch.cuh"
#include "ops/transition_draw_kernel.cuh"

namespace actormimic::ops::cuda {

cudaError_t draw_transitions(const TransitionDraw& draw, int device, cudaStream_t stream) {
  draw.check();
  const DeviceGuard guard(device);
  if (guard.error() != cudaSuccess) return guard.error();
  const cudaError_t error = require_memory_of(device, "counter", draw.counter);
  if (error != cudaSuccess) return error;
  return enqueue(transition_kernel, 1, kDrawThreads, stream, draw);
}

}  // namespace actormimic::ops::cuda
