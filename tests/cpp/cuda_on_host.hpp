// Runs CUDA kernels on the CPU: every thread of a block is a fiber, and warps and blocks meet where
// the kernel says so. Blocks run one after the other. It shows wrong indices, sums, packs and
// tails, on machines without a GPU; it shows no data race, which is compute-sanitizer's business.
//
// Include it before a header with kernels, in a translation unit without nvcc.
#pragma once

#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <vector>

#define __device__
#define __global__
// One block runs at a time, so that a static variable is the block's.
#define __shared__ static
#define __launch_bounds__(...)

namespace cuda_on_host {

struct Dimension {
  unsigned x = 0;
};

constexpr std::size_t kStackBytes = 64 * 1024;

// A thread of the block. It runs until it has to meet others, then the scheduler goes on.
struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack{new char[kStackBytes]};
  bool finished = false;
  bool at_barrier = false;
  std::uint64_t published = 0;  // what the other threads of the warp see
};

struct Block {
  ucontext_t scheduler;
  std::vector<std::unique_ptr<Fiber>> fibers;
  unsigned current = 0;
  std::function<void()> kernel;
};

inline Block*& block() {
  static Block* running = nullptr;
  return running;
}

inline Fiber& self() { return *block()->fibers[block()->current]; }

// Lets the warp's other threads run up to the same point: each gets its turn once per round.
inline void meet() { swapcontext(&self().context, &block()->scheduler); }

// Waits for the whole block, whose warps may have taken different numbers of turns.
inline void barrier() {
  self().at_barrier = true;
  meet();
}

// One turn for every thread that can go on; false when all have returned.
inline bool run_round(Block& running) {
  bool alive = false, all_at_barrier = true;
  for (const auto& fiber : running.fibers) {
    alive = alive || !fiber->finished;
    all_at_barrier = all_at_barrier && (fiber->finished || fiber->at_barrier);
  }
  for (unsigned i = 0; i < running.fibers.size(); ++i) {
    Fiber& fiber = *running.fibers[i];
    if (all_at_barrier) fiber.at_barrier = false;
    if (fiber.finished || fiber.at_barrier) continue;
    running.current = i;
    swapcontext(&running.scheduler, &fiber.context);
  }
  return alive;
}

inline void run_fiber() {
  block()->kernel();
  self().finished = true;
  swapcontext(&self().context, &block()->scheduler);
}

}  // namespace cuda_on_host

// The number of the thread that runs, looked up anew each time: fibers take turns.
struct ThreadIndex {
  struct {
    operator unsigned() const { return cuda_on_host::block()->current; }
  } x;
};
inline ThreadIndex threadIdx;
inline cuda_on_host::Dimension blockIdx, blockDim, gridDim;

namespace cuda_on_host {

// kernel<<<blocks, threads>>>
inline void launch(unsigned blocks, unsigned threads, const std::function<void()>& kernel) {
  gridDim.x = blocks;
  blockDim.x = threads;
  for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x) {
    Block running;
    running.kernel = kernel;
    block() = &running;
    for (unsigned i = 0; i < threads; ++i) {
      running.fibers.push_back(std::make_unique<Fiber>());
      Fiber& fiber = *running.fibers.back();
      getcontext(&fiber.context);
      fiber.context.uc_stack.ss_sp = fiber.stack.get();
      fiber.context.uc_stack.ss_size = kStackBytes;
      makecontext(&fiber.context, &run_fiber, 0);
    }
    while (run_round(running)) {
    }
  }
  block() = nullptr;
}

// What `lane` of this thread's warp has published.
template <typename T>
T published_by(unsigned lane) {
  const unsigned thread = block()->current / 32 * 32 + lane;
  if (thread >= block()->fibers.size() || block()->fibers[thread]->finished)
    throw std::logic_error("a warp operation waits for a thread that has returned");
  T value;
  std::memcpy(&value, &block()->fibers[thread]->published, sizeof(T));
  return value;
}

template <typename T>
void publish(T value) {
  std::memcpy(&self().published, &value, sizeof(T));
  meet();
}

}  // namespace cuda_on_host

template <typename T>
T __shfl_xor_sync(unsigned, T value, int offset) {
  cuda_on_host::publish(value);
  const unsigned lane = threadIdx.x % 32;
  const T other = cuda_on_host::published_by<T>(lane ^ static_cast<unsigned>(offset));
  cuda_on_host::meet();  // nobody publishes anew before all have read
  return other;
}

inline unsigned __ballot_sync(unsigned, bool vote) {
  cuda_on_host::publish<unsigned>(vote);
  unsigned votes = 0;
  for (unsigned lane = 0; lane < 32; ++lane)
    votes |= cuda_on_host::published_by<unsigned>(lane) << lane;
  cuda_on_host::meet();
  return votes;
}

inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline void __syncthreads() { cuda_on_host::barrier(); }
inline void __threadfence() {}

inline unsigned atomicInc(unsigned* address, unsigned limit) {
  const unsigned before = *address;
  *address = before >= limit ? 0 : before + 1;
  return before;
}

template <typename T>
T __ldcg(const T* address) {
  return *address;
}
