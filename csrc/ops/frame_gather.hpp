// From a ring of frames to a training batch: stacks of four frames, normalized to [0, 1], and the
// drawing of the rows to gather from a counter that lies beside the ring.
#pragma once

#include <cstdint>

#include "ops/element.hpp"

namespace actormimic::ops {

constexpr int kStack = 4;     // frames of one observation
constexpr int kNoFrame = -1;  // index of a frame that is all zeros
// A CUDA grid has at most 2^31 - 1 blocks, and each frame of a stack takes one.
constexpr std::int64_t kMaxStacks = (std::int64_t{1} << 29) - 1;

// All memory is the caller's and is not kept.
struct FrameGather {
  const std::uint8_t* frames = nullptr;  // [frame_count, pixels], aligned to 8 bytes
  std::int64_t frame_count = 0;
  std::int64_t pixels = 0;                    // of one frame: a multiple of 8
  const std::int64_t* index = nullptr;        // [stacks, 4]: which frame, or kNoFrame; oldest first
  std::int64_t stacks = 0;                    // up to kMaxStacks
  void* out = nullptr;                        // [stacks, 4, pixels], aligned to 16 bytes
  ElementType type = ElementType::kBFloat16;  // of `out`; any but float64
  bool channels_last = false;                 // `out` is laid out as [stacks, pixels, 4]

  // Throws std::invalid_argument on sizes, types and alignments that are not as above.
  void check() const;
};

// Draws `per_group` positions for each group, uniformly in [0, counts[group]) and with replacement.
// The draw depends on seed and counter alone; it adds 1 to the counter, so that the next one
// differs without anything from the host.
struct RowDraw {
  const std::int64_t* counts = nullptr;  // [groups]
  std::int64_t groups = 0;
  std::int64_t per_group = 0;
  std::uint64_t seed = 0;
  std::uint64_t* counter = nullptr;  // [1]
  std::int64_t* out = nullptr;       // [groups, per_group]; -1 where a count is not positive

  // Throws std::invalid_argument on negative sizes and missing memory.
  void check() const;
};

// Both compute on the calling thread and allocate nothing. gather_frames throws std::out_of_range
// for an index outside [-1, frame_count), before anything is written.
void gather_frames(const FrameGather& gather);
void draw_rows(const RowDraw& draw);

// What the CPU and CUDA share.

// The pixel divided by 255. The product with the reciprocal is the same on every device.
template <typename Element>
ACTORMIMIC_ROW_MATH void store_pixel(std::uint8_t pixel, Element* to) {
  store(static_cast<float>(pixel) * (1.0f / 255.0f), to);
}

// Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011): Philox 4x32 with ten rounds.
// 64 random bits for item `item` of draw number `counter`.
ACTORMIMIC_ROW_MATH std::uint64_t philox(std::uint64_t seed, std::uint64_t counter,
                                         std::uint64_t item) {
  std::uint32_t c0 = static_cast<std::uint32_t>(counter);
  std::uint32_t c1 = static_cast<std::uint32_t>(counter >> 32);
  std::uint32_t c2 = static_cast<std::uint32_t>(item);
  std::uint32_t c3 = static_cast<std::uint32_t>(item >> 32);
  std::uint32_t k0 = static_cast<std::uint32_t>(seed);
  std::uint32_t k1 = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = static_cast<std::uint64_t>(c0) * 0xD2511F53u;
    const std::uint64_t p1 = static_cast<std::uint64_t>(c2) * 0xCD9E8D57u;
    c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<std::uint32_t>(p1);
    c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<std::uint32_t>(p0);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return static_cast<std::uint64_t>(c1) << 32 | c0;
}

// A number in [0, count), or -1 if count is not positive. The bias is below count / 2^64.
ACTORMIMIC_ROW_MATH std::int64_t draw_row(std::uint64_t seed, std::uint64_t counter,
                                          std::uint64_t item, std::int64_t count) {
  if (count <= 0) return -1;
  const std::uint64_t random = philox(seed, counter, item);
  // The upper half of the 128-bit product, from 32-bit halves.
  const std::uint64_t size = static_cast<std::uint64_t>(count);
  const std::uint64_t low = (random & 0xffffffffu) * (size & 0xffffffffu);
  const std::uint64_t middle = (random >> 32) * (size & 0xffffffffu) + (low >> 32);
  const std::uint64_t other = (random & 0xffffffffu) * (size >> 32) + (middle & 0xffffffffu);
  return static_cast<std::int64_t>((random >> 32) * (size >> 32) + (middle >> 32) + (other >> 32));
}

}  // namespace actormimic::ops
