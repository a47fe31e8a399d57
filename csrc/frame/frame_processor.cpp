#include "frame/frame_processor.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "common/check.hpp"

namespace actormimic {
namespace {

constexpr int kBlendBits = 11;  // bilinear weights are multiples of 1/2048
constexpr int kBlendOne = 1 << kBlendBits;

}  // namespace

FrameProcessor::FrameProcessor(FrameShape source, FrameShape target, FrameColor color,
                               const Palette& palette, const Kernels& kernels)
    : source_(source),
      target_(target),
      color_(color),
      channels_(color == FrameColor::kRgb ? 3 : 1),
      palette_(palette),
      gray_(make_gray_table(palette.gray.data())),
      kernels_(kernels) {
  require_range("screen height", source.height, 1, 4096);
  require_range("screen width", source.width, 1, 4096);
  require_range("img_height", target.height, 1, 4096);
  require_range("img_width", target.width, 1, 4096);
  if (color == FrameColor::kGrayOfRgbMax) {
    gray_of_max_.resize(256 * 256);
    for (int a = 0; a < 256; ++a) {
      for (int b = 0; b < 256; ++b) {
        const auto& x = palette.rgb[a];
        const auto& y = palette.rgb[b];
        gray_of_max_[a * 256 + b] =
            a == b ? palette.gray[a]
                   : luminance(std::max(x[0], y[0]), std::max(x[1], y[1]), std::max(x[2], y[2]));
      }
    }
  }
  if (source == target) {
    method_ = Method::kCopy;
  } else if (target.height > source.height || target.width > source.width) {
    method_ = Method::kBilinear;
    blend_rows_ = bilinear_axis(source.height, target.height);
    blend_columns_ = bilinear_axis(source.width, target.width);
  } else if (source.height % target.height == 0 && source.width % target.width == 0) {
    method_ = Method::kBox;
  } else {
    method_ = Method::kArea;
    rows_ = AreaAxis(source.height, target.height);
    columns_ = RowPlan(AreaAxis(source.width, target.width), channels_);
  }
}

// Where an axis grows, the reference blends two neighbors, with the blend confined to the outputs
// that straddle a border between source pixels.
std::vector<FrameProcessor::Blend> FrameProcessor::bilinear_axis(int source, int target) {
  const double inverse = static_cast<double>(target) / source;
  const double scale = 1.0 / inverse;
  std::vector<Blend> axis(target);
  for (int o = 0; o < target; ++o) {
    int first = static_cast<int>(std::floor(o * scale));
    float fraction = static_cast<float>((o + 1) - (first + 1) * inverse);
    fraction = fraction <= 0 ? 0.0f : fraction - std::floor(fraction);
    if (first >= source - 1) {
      first = source - 1;
      fraction = 0.0f;
    }
    axis[o].first = first;
    axis[o].second = std::min(first + 1, source - 1);
    axis[o].first_weight = static_cast<int>(std::lrintf((1.0f - fraction) * kBlendOne));
    axis[o].second_weight = static_cast<int>(std::lrintf(fraction * kBlendOne));
  }
  return axis;
}

std::size_t FrameProcessor::pooled_bytes() const {
  return static_cast<std::size_t>(source_.height) * source_.width * channels_;
}

std::size_t FrameProcessor::frame_bytes() const {
  return static_cast<std::size_t>(target_.height) * target_.width * channels_;
}

FrameScratch FrameProcessor::make_scratch() const {
  FrameScratch scratch;
  const std::size_t row = static_cast<std::size_t>(source_.width) * channels_ + kRowPadding;
  const std::size_t outputs = static_cast<std::size_t>(target_.width) * channels_ + 8;
  scratch.row.resize(row);
  scratch.shrunk.resize(outputs);
  scratch.sum.resize(outputs);
  scratch.blend.resize(outputs * 2);
  scratch.stored.resize(outputs);
  return scratch;
}

void FrameProcessor::color_row(const std::uint8_t* newest, const std::uint8_t* before,
                               std::uint8_t* row) const {
  const int width = source_.width;
  switch (color_) {
    case FrameColor::kGray:
      return kernels_.gray_row(gray_, newest, before, width, row);
    case FrameColor::kGrayOfRgbMax:
      // Most rows of two screens in a row are the same, and their maximum is theirs.
      if (std::memcmp(newest, before, static_cast<std::size_t>(width)) == 0)
        return kernels_.gray_row(gray_, newest, newest, width, row);
      for (int x = 0; x < width; ++x) row[x] = gray_of_max_[newest[x] * 256 + before[x]];
      return;
    case FrameColor::kRgb:
      for (int x = 0; x < width; ++x) {
        const auto& a = palette_.rgb[newest[x]];
        const auto& b = palette_.rgb[before[x]];
        for (int c = 0; c < 3; ++c) row[x * 3 + c] = std::max(a[c], b[c]);
      }
  }
}

void FrameProcessor::pool(const std::uint8_t* newest, const std::uint8_t* before,
                          FrameScratch& scratch, std::uint8_t* pooled, std::uint8_t* out) const {
  if (before == nullptr) before = newest;
  const std::size_t row_bytes = static_cast<std::size_t>(source_.width) * channels_;
  resize(
      [&](int y, std::uint8_t* row) {
        const std::size_t width = source_.width, at = y * width;
        const bool as_above = y > 0 && std::memcmp(newest + at, newest + at - width, width) == 0 &&
                              std::memcmp(before + at, before + at - width, width) == 0;
        if (!as_above) color_row(newest + at, before + at, row);
        if (pooled != nullptr) std::memcpy(pooled + y * row_bytes, row, row_bytes);
        return !as_above;
      },
      scratch, out);
}

void FrameProcessor::pool_onto(const std::uint8_t* screen, FrameScratch& scratch,
                               std::uint8_t* pooled, std::uint8_t* out) const {
  const std::size_t row_bytes = static_cast<std::size_t>(source_.width) * channels_;
  resize(
      [&](int y, std::uint8_t* row) {
        const std::uint8_t* indices = screen + static_cast<std::size_t>(y) * source_.width;
        color_row(indices, indices, row);
        kernels_.max_row(pooled + y * row_bytes, static_cast<int>(row_bytes), row);
        std::memcpy(pooled + y * row_bytes, row, row_bytes);
        return true;
      },
      scratch, out);
}

// `row_at(y, row)` makes `row`, which holds the row above, row y of the picture, and says whether
// it had to change it: many rows of a screen are like the one above. It is called once for each y,
// from the top.
template <typename Row>
void FrameProcessor::resize(Row&& row_at, FrameScratch& scratch, std::uint8_t* out) const {
  switch (method_) {
    case Method::kArea:
      return resize_area(row_at, scratch, out);
    case Method::kBox:
      return resize_box(row_at, scratch, out);
    case Method::kBilinear:
      return resize_bilinear(row_at, scratch, out);
    case Method::kCopy:
      const std::size_t row_bytes = static_cast<std::size_t>(source_.width) * channels_;
      for (int y = 0; y < source_.height; ++y) {
        row_at(y, scratch.row.data());
        std::memcpy(out + y * row_bytes, scratch.row.data(), row_bytes);
      }
  }
}

template <typename Row>
void FrameProcessor::resize_area(Row&& row_at, FrameScratch& scratch, std::uint8_t* out) const {
  float* shrunk = scratch.shrunk.data();
  float* sum = scratch.sum.data();
  const RowTaps taps = columns_.row_taps();
  int have = -1;  // the row that `shrunk` holds; neighboring outputs may share one
  for (int o = 0; o < target_.height; ++o, out += columns_.outputs) {
    bool first = true;
    for (int t = 0; t < rows_.taps; ++t) {
      const float weight = rows_.weight[t][o];
      if (weight == 0.0f) break;
      const int y = rows_.start[o] + t;
      for (; have < y; ++have) {
        const bool changed = row_at(have + 1, scratch.row.data());
        if (changed) kernels_.shrink_row(taps, scratch.row.data(), shrunk);
      }
      (first ? kernels_.start_sum : kernels_.add_sum)(shrunk, weight, columns_.padded, sum);
      first = false;
    }
    kernels_.store_sum(sum, columns_.padded, scratch.stored.data());
    std::memcpy(out, scratch.stored.data(), columns_.outputs);
  }
}

template <typename Row>
void FrameProcessor::resize_box(Row&& row_at, FrameScratch& scratch, std::uint8_t* out) const {
  const int down = source_.height / target_.height;
  const int across = source_.width / target_.width;
  const int outputs = target_.width * channels_;
  std::int32_t* sum = scratch.blend.data();
  const float share = 1.0f / static_cast<float>(down * across);
  for (int o = 0; o < target_.height; ++o, out += outputs) {
    std::fill(sum, sum + outputs, 0);
    for (int y = o * down; y < (o + 1) * down; ++y) {
      row_at(y, scratch.row.data());
      const std::uint8_t* pixel = scratch.row.data();
      for (std::int32_t* output = sum; output != sum + outputs; output += channels_)
        for (int x = 0; x < across; ++x, pixel += channels_)
          for (int c = 0; c < channels_; ++c) output[c] += pixel[c];
    }
    for (int i = 0; i < outputs; ++i) {
      // The reference rounds halves up where it averages 2x2 and to even elsewhere.
      const long mean = down == 2 && across == 2 ? (sum[i] + 2) >> 2
                                                 : std::lrintf(static_cast<float>(sum[i]) * share);
      out[i] = static_cast<std::uint8_t>(mean);
    }
  }
}

template <typename Row>
void FrameProcessor::resize_bilinear(Row&& row_at, FrameScratch& scratch, std::uint8_t* out) const {
  const int outputs = target_.width * channels_;
  // Two blended rows, each under the row number it came from.
  std::int32_t* lines[2] = {scratch.blend.data(), scratch.blend.data() + outputs};
  int held[2] = {-1, -1};
  int made = -1;
  const auto line = [&](int y) {
    if (held[0] != y && held[1] != y) {
      std::swap(lines[0], lines[1]);
      std::swap(held[0], held[1]);
      for (; made < y; ++made) row_at(made + 1, scratch.row.data());
      for (int i = 0; i < outputs; ++i) {
        const Blend& blend = blend_columns_[i / channels_];
        const int c = i % channels_;
        lines[1][i] = scratch.row[blend.first * channels_ + c] * blend.first_weight +
                      scratch.row[blend.second * channels_ + c] * blend.second_weight;
      }
      held[1] = y;
    }
    return held[1] == y ? lines[1] : lines[0];
  };
  for (int o = 0; o < target_.height; ++o, out += outputs) {
    const Blend& blend = blend_rows_[o];
    const std::int32_t* first = line(blend.first);
    const std::int32_t* second = line(blend.second);
    for (int i = 0; i < outputs; ++i) {
      const int upper = (blend.first_weight * (first[i] >> 4)) >> 16;
      const int lower = (blend.second_weight * (second[i] >> 4)) >> 16;
      out[i] = static_cast<std::uint8_t>(std::clamp((upper + lower + 2) >> 2, 0, 255));
    }
  }
  // Rows below the last that was needed; who pools pictures is promised all of them.
  for (; made < source_.height - 1; ++made) row_at(made + 1, scratch.row.data());
}

}  // namespace actormimic
