#include "frame/area_axis.hpp"

#include <algorithm>
#include <cmath>

#include "common/check.hpp"

namespace actormimic {

AreaAxis::AreaAxis(int source_size, int target_size) : source(source_size), target(target_size) {
  require(1 <= target && target <= source, "an axis of ", source, " cannot shrink to ", target);
  // The reciprocal of a reciprocal, as the reference computes it: the last bit reaches the weights.
  const double scale = 1.0 / (static_cast<double>(target) / source);
  constexpr double kSliver = 1e-3;  // thinner edges of a cell count as rounding
  std::vector<std::vector<float>> rows(target);
  start.resize(target);
  for (int o = 0; o < target; ++o) {
    const double left = o * scale;
    const double right = left + scale;
    const double width = std::min(scale, source - left);
    const int last = std::min(static_cast<int>(std::floor(right)), source - 1);
    const int first = std::min(static_cast<int>(std::ceil(left)), last);
    start[o] = first;
    if (first - left > kSliver) {
      start[o] = first - 1;
      rows[o].push_back(static_cast<float>((first - left) / width));
    }
    for (int s = first; s < last; ++s) rows[o].push_back(static_cast<float>(1.0 / width));
    if (right - last > kSliver) {
      const double covered = std::min(std::min(right - last, 1.0), width);
      rows[o].push_back(static_cast<float>(covered / width));
    }
    taps = std::max(taps, static_cast<int>(rows[o].size()));
  }
  weight.assign(taps, std::vector<float>(target, 0.0f));
  for (int o = 0; o < target; ++o)
    for (std::size_t t = 0; t < rows[o].size(); ++t) weight[t][o] = rows[o][t];
}

RowPlan::RowPlan(const AreaAxis& axis, int channel_count)
    : outputs(axis.target * channel_count),
      padded((outputs + 7) / 8 * 8),
      taps(axis.taps),
      channels(channel_count) {
  offset.resize(padded);
  weight.assign(static_cast<std::size_t>(taps) * padded, 0.0f);
  for (int o = 0; o < padded; ++o) {
    const int real = std::min(o, outputs - 1);
    offset[o] = axis.start[real / channels] * channels + real % channels;
    if (o == real)
      for (int t = 0; t < taps; ++t) weight[t * padded + o] = axis.weight[t][o / channels];
  }
  constexpr std::uint8_t kZero = 0x80;  // a shuffle index with this bit writes a zero byte
  base.resize(padded / 4);
  shuffle.assign(static_cast<std::size_t>(padded / 8) * taps * 32, kZero);
  for (int quad = 0; quad < padded / 4; ++quad) {
    const int* four = &offset[quad * 4];
    base[quad] = *std::min_element(four, four + 4);
    const int reach = *std::max_element(four, four + 4) + (taps - 1) * channels - base[quad];
    if (reach > 15) {
      fits_shuffle = false;
      return;
    }
    for (int t = 0; t < taps; ++t)
      for (int i = 0; i < 4; ++i)
        shuffle[((quad / 2) * taps + t) * 32 + (quad % 2) * 16 + i * 4] =
            static_cast<std::uint8_t>(four[i] + t * channels - base[quad]);
  }
}

RowTaps RowPlan::row_taps() const {
  return {padded,        taps,          channels,       fits_shuffle,
          offset.data(), weight.data(), shuffle.data(), base.data()};
}

}  // namespace actormimic
