// The CUDA kernels of the frame gather; the launchers are in frame_gather.cu.
// No host code, so that the tests can run the kernels on the CPU, thread by thread.
#pragma once

#include <cstdint>

#include "ops/frame_gather.hpp"
#include "ops/pack.cuh"

namespace actormimic::ops::cuda {

// A frame of 84x84 is 882 packs of 8 pixels: four per thread with hardly any thread left idle.
constexpr int kGatherThreads = 224;
constexpr int kGatherDepth = 4;  // packs per thread that are requested before the first is used

// The frame's pixels, null for zeros, and what they are multiplied by. An index that is neither a
// frame nor kNoFrame gives NaN, because nobody waits for the device to raise an error; as a factor
// that costs nothing, where a question per pixel would.
struct Source {
  const std::uint8_t* pixels;
  float factor;
};

__device__ inline Source source_of(const FrameGather& gather, std::int64_t slot) {
  const std::int64_t index = gather.index[slot];
  const bool inside = index >= 0 && index < gather.frame_count;
  return {inside ? gather.frames + index * gather.pixels : nullptr,
          inside || index == kNoFrame ? kPixelFactor : static_cast<float>(NAN)};
}

// One block per frame of the batch: 8 pixels are read and 8 elements stored at a time.
template <typename Element>
__global__ void __launch_bounds__(kGatherThreads) gather_kernel(FrameGather gather) {
  const std::int64_t packs = gather.pixels / 8;
  const Source source = source_of(gather, blockIdx.x);
  const auto* from = reinterpret_cast<const Pack<std::uint8_t, 8>*>(source.pixels);
  auto* to = static_cast<Pack<Element, 8>*>(gather.out) + blockIdx.x * packs;
  for (std::int64_t first = threadIdx.x; first < packs; first += kGatherDepth * kGatherThreads) {
    Pack<std::uint8_t, 8> in[kGatherDepth];
#pragma unroll
    for (int i = 0; i < kGatherDepth; ++i) {
      const std::int64_t at = first + i * kGatherThreads;
      in[i] = from && at < packs ? from[at] : Pack<std::uint8_t, 8>{};
    }
#pragma unroll
    for (int i = 0; i < kGatherDepth; ++i) {
      const std::int64_t at = first + i * kGatherThreads;
      if (at >= packs) break;
      Pack<Element, 8> out;
#pragma unroll
      for (int j = 0; j < 8; ++j) store_pixel(in[i].values[j], source.factor, &out.values[j]);
      to[at] = out;
    }
  }
}

// One block per stack: two pixels of each of the four frames make 8 neighboring elements.
template <typename Element>
__global__ void __launch_bounds__(kGatherThreads) gather_channels_last_kernel(FrameGather gather) {
  const std::int64_t packs = gather.pixels / 2;
  Source source[kStack];
#pragma unroll
  for (int frame = 0; frame < kStack; ++frame)
    source[frame] = source_of(gather, static_cast<std::int64_t>(blockIdx.x) * kStack + frame);
  auto* to = static_cast<Pack<Element, 8>*>(gather.out) + blockIdx.x * packs;
  for (std::int64_t first = threadIdx.x; first < packs; first += kGatherDepth * kGatherThreads) {
    Pack<std::uint8_t, 2> in[kGatherDepth][kStack];
#pragma unroll
    for (int i = 0; i < kGatherDepth; ++i) {
      const std::int64_t at = first + i * kGatherThreads;
#pragma unroll
      for (int frame = 0; frame < kStack; ++frame) {
        const auto* from = reinterpret_cast<const Pack<std::uint8_t, 2>*>(source[frame].pixels);
        in[i][frame] = from && at < packs ? from[at] : Pack<std::uint8_t, 2>{};
      }
    }
#pragma unroll
    for (int i = 0; i < kGatherDepth; ++i) {
      const std::int64_t at = first + i * kGatherThreads;
      if (at >= packs) break;
      Pack<Element, 8> out;
#pragma unroll
      for (int pixel = 0; pixel < 2; ++pixel)
#pragma unroll
        for (int frame = 0; frame < kStack; ++frame)
          store_pixel(in[i][frame].values[pixel], source[frame].factor,
                      &out.values[pixel * kStack + frame]);
      to[at] = out;
    }
  }
}

}  // namespace actormimic::ops::cuda
