// The CUDA kernel of the draw; the launcher is in transition_draw.cu. No host code, so that the
// tests can run it on the CPU, thread by thread.
#pragma once

#include <cstdint>

#include "ops/transition_draw.hpp"

namespace actormimic::ops::cuda {

constexpr int kDrawThreads = 256;

// One block draws everything: the counter may move on only when all have read it.
__global__ void __launch_bounds__(kDrawThreads) transition_kernel(TransitionDraw draw) {
  const std::uint64_t counter = *draw.counter;
  __syncthreads();
  if (threadIdx.x == 0) *draw.counter = counter + 1;
  for (std::int64_t item = threadIdx.x; item < draw.rings * draw.per_ring; item += blockDim.x)
    draw_transition(draw, counter, item);
}

}  // namespace actormimic::ops::cuda
