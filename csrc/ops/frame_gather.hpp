// From a ring of frames to a training batch: stacks of four frames, normalized to [0, 1].
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

// Computes on the calling thread and allocates nothing. Throws std::out_of_range for an index
// outside [-1, frame_count), before anything is written.
void gather_frames(const FrameGather& gather);

// What the CPU and CUDA share: the pixel divided by 255. The product with the reciprocal is the
// same on every device.
constexpr float kPixelFactor = 1.0f / 255.0f;

template <typename Element>
ACTORMIMIC_ROW_MATH void store_pixel(std::uint8_t pixel, float factor, Element* to) {
  store(static_cast<float>(pixel) * factor, to);
}

}  // namespace actormimic::ops
