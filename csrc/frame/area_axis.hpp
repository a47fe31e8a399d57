// One axis of an area-averaging resize: which source positions each output covers and by how much.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels.hpp"

namespace actormimic {

// Weights of OpenCV's INTER_AREA, as float32, for an axis that shrinks (source >= target).
//
// Output o is the sum over t of source[start[o] + t] * weight[t][o]. All outputs have `taps` taps;
// the missing ones weigh 0, which leaves a float32 sum unchanged, so that loops need no counts.
struct AreaAxis {
  AreaAxis() = default;
  // Throws std::invalid_argument unless 1 <= target <= source.
  AreaAxis(int source, int target);

  int source = 0;
  int target = 0;
  int taps = 0;
  std::vector<std::int32_t> start;         // [target]
  std::vector<std::vector<float>> weight;  // [taps][target]
};

// The horizontal pass over one row of `channels` interleaved bytes, laid out for eight outputs at
// a time: output o (pixel o / channels) reads bytes offset[o] + t * channels.
struct RowPlan {
  RowPlan() = default;
  RowPlan(const AreaAxis& axis, int channels);

  RowTaps row_taps() const;  // valid while the plan lives unchanged

  int outputs = 0;                    // target * channels
  int padded = 0;                     // outputs rounded up to a multiple of 8
  int taps = 0;                       //
  int channels = 1;                   //
  bool fits_shuffle = true;           // any 4 neighboring outputs read within 16 bytes
  std::vector<std::int32_t> offset;   // [padded]
  std::vector<float> weight;          // [taps * padded], 0 in the padding
  std::vector<std::uint8_t> shuffle;  // [padded / 8][taps][32]: byte shuffles, 4 outputs a lane
  std::vector<std::int32_t> base;     // [padded / 4]: first byte that 4 outputs read
};

}  // namespace actormimic
