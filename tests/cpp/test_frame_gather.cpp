// The frame gather: the CPU function, and the CUDA kernels run on the CPU.
#include "ops/frame_gather.hpp"

#include <cmath>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "cuda_on_host.hpp"
#include "ops/frame_gather_kernel.cuh"

using namespace actormimic::ops;

namespace {

template <typename Element>
void compare_layouts(std::int64_t pixels, ElementType type) {
  const std::int64_t count = 5, stacks = 3;
  std::vector<std::uint64_t> memory(count * pixels / 8);
  auto* frames = reinterpret_cast<std::uint8_t*>(memory.data());
  for (std::int64_t i = 0; i < count * pixels; ++i)
    frames[i] = static_cast<std::uint8_t>(i * 37 + i / 251);
  const std::vector<std::int64_t> index{-1, -1, 0, 1, 4, 0, 3, 3, -1, -1, -1, -1};
  for (bool channels_last : {false, true}) {
    struct alignas(16) Aligned {
      Element values[8];
    };
    std::vector<Aligned> expected(stacks * kStack * pixels / 8), found(expected.size());
    FrameGather gather;
    gather.frames = frames;
    gather.frame_count = count;
    gather.pixels = pixels;
    gather.index = index.data();
    gather.stacks = stacks;
    gather.type = type;
    gather.channels_last = channels_last;
    gather.out = expected.data();
    gather_frames(gather);
    const auto* out = reinterpret_cast<const Element*>(expected.data());
    for (std::int64_t s = 0; s < stacks; ++s)
      for (std::int64_t f = 0; f < kStack; ++f)
        for (std::int64_t p = 0; p < pixels; ++p) {
          const std::int64_t source = index[s * kStack + f];
          Element wanted;
          store(source < 0 ? 0.0f : frames[source * pixels + p] * (1.0f / 255.0f), &wanted);
          const std::int64_t at =
              channels_last ? (s * pixels + p) * kStack + f : (s * kStack + f) * pixels + p;
          CHECK(std::memcmp(&out[at], &wanted, sizeof(Element)) == 0);
        }
    gather.out = found.data();
    if (channels_last)
      cuda_on_host::launch(stacks, cuda::kGatherThreads,
                           [&] { cuda::gather_channels_last_kernel<Element>(gather); });
    else
      cuda_on_host::launch(stacks * kStack, cuda::kGatherThreads,
                           [&] { cuda::gather_kernel<Element>(gather); });
    CHECK(std::memcmp(found.data(), expected.data(), found.size() * sizeof(Aligned)) == 0);
  }
}

}  // namespace

TEST(kernels_and_cpu_gather_the_same_stacks) {
  for (std::int64_t pixels : {8, 84 * 84, 2000, 8000}) {
    compare_layouts<BFloat16>(pixels, ElementType::kBFloat16);
    compare_layouts<Float16>(pixels, ElementType::kFloat16);
    compare_layouts<float>(pixels, ElementType::kFloat32);
  }
}

TEST(an_index_out_of_range_throws_on_the_cpu_and_gives_nan_on_the_device) {
  alignas(8) const std::uint8_t frames[16] = {};
  alignas(16) float out[32] = {};
  const std::int64_t index[4] = {0, 2, -1, -2};
  FrameGather gather;
  gather.frames = frames;
  gather.frame_count = 2;
  gather.pixels = 8;
  gather.index = index;
  gather.stacks = 1;
  gather.out = out;
  gather.type = ElementType::kFloat32;
  CHECK_THROWS(gather_frames(gather), std::out_of_range);
  cuda_on_host::launch(4, cuda::kGatherThreads, [&] { cuda::gather_kernel<float>(gather); });
  for (int i = 0; i < 32; ++i) CHECK(i / 8 % 2 ? std::isnan(out[i]) : out[i] == 0.0f);
}

TEST(bad_gathers_are_refused) {
  alignas(16) std::uint8_t memory[64] = {};
  const auto refuses = [&](auto change) {
    FrameGather gather;
    gather.frames = memory;
    gather.pixels = 8;
    change(gather);
    CHECK_THROWS(gather_frames(gather), std::invalid_argument);
  };
  refuses([](FrameGather& g) { g.pixels = 12; });
  refuses([](FrameGather& g) { g.pixels = 0; });
  refuses([](FrameGather& g) { g.stacks = -1; });
  refuses([](FrameGather& g) { g.frame_count = -1; });
  refuses([](FrameGather& g) { g.stacks = 1; });
  refuses([](FrameGather& g) { g.type = ElementType::kFloat64; });
  refuses([&](FrameGather& g) { g.frames = memory + 1; });
  refuses([&](FrameGather& g) { g.out = memory + 8; });
}

TEST(as_many_stacks_as_a_grid_has_blocks_for_are_allowed) {
  alignas(16) std::uint8_t memory[64] = {};
  const std::int64_t index[4] = {};
  FrameGather gather;
  gather.frames = memory;
  gather.frame_count = 1;
  gather.pixels = 8;
  gather.index = index;
  gather.out = memory;
  gather.stacks = kMaxStacks;
  gather.check();
  CHECK(kMaxStacks * kStack <= std::int64_t{2147483647});
  ++gather.stacks;
  CHECK_THROWS(gather.check(), std::invalid_argument);
}
