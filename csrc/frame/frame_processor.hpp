// From one or two raw screens to one frame of an observation: color, maximum, resize in one pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "area_axis.hpp"
#include "kernels.hpp"
#include "palette.hpp"

namespace actormimic {

struct FrameShape {
  int height = 0;
  int width = 0;
  bool operator==(const FrameShape& other) const {
    return height == other.height && width == other.width;
  }
};

enum class FrameColor {
  kGray,          // luminance first, then the maximum of two frames
  kRgb,           // three interleaved bytes a pixel, the maximum per channel
  kGrayOfRgbMax,  // the maximum per channel first, then luminance
};

// Buffers for the rows in work: one for each thread that calls a processor.
struct FrameScratch {
  std::vector<std::uint8_t> row;
  std::vector<float> shrunk;
  std::vector<float> sum;
  std::vector<std::int32_t> blend;
  std::vector<std::uint8_t> stored;
};

// Resizes as OpenCV's INTER_AREA does: area averages in float32 and in its order of additions
// where both axes shrink (the same bytes), its fixed-point bilinear where one grows.
//
// A processor is immutable: threads may share it, each with a scratch of its own.
class FrameProcessor {
 public:
  // Screens of `source` color indices become frames of `target` pixels. Throws
  // std::invalid_argument for a size outside 1 to 4096.
  FrameProcessor(FrameShape source, FrameShape target, FrameColor color, const Palette& palette,
                 const Kernels& kernels = best_kernels());

  std::size_t pooled_bytes() const;  // of one picture before the resize
  std::size_t frame_bytes() const;   // of one frame after it
  FrameScratch make_scratch() const;

  // out = resize(max(color(newest), color(before))); `before` may be null. With `pooled` not null
  // it receives the picture before the resize (not for kGrayOfRgbMax).
  void pool(const std::uint8_t* newest, const std::uint8_t* before, FrameScratch& scratch,
            std::uint8_t* pooled, std::uint8_t* out) const;

  // pooled = max(pooled, color(screen)); out = resize(pooled)
  void pool_onto(const std::uint8_t* screen, FrameScratch& scratch, std::uint8_t* pooled,
                 std::uint8_t* out) const;

 private:
  enum class Method { kCopy, kBox, kArea, kBilinear };
  struct Blend {  // one output of a bilinear axis: two neighbors in 1/2048
    int first = 0;
    int second = 0;
    int first_weight = 0;
    int second_weight = 0;
  };

  static std::vector<Blend> bilinear_axis(int source, int target);
  void color_row(const std::uint8_t* newest, const std::uint8_t* before, std::uint8_t* row) const;
  template <typename Row>
  void resize(Row&& row_at, FrameScratch& scratch, std::uint8_t* out) const;
  template <typename Row>
  void resize_area(Row&& row_at, FrameScratch& scratch, std::uint8_t* out) const;
  template <typename Row>
  void resize_box(Row&& row_at, FrameScratch& scratch, std::uint8_t* out) const;
  template <typename Row>
  void resize_bilinear(Row&& row_at, FrameScratch& scratch, std::uint8_t* out) const;

  FrameShape source_;
  FrameShape target_;
  FrameColor color_;
  int channels_;
  Palette palette_;
  GrayTable gray_;
  const Kernels& kernels_;
  Method method_;
  std::vector<std::uint8_t> gray_of_max_;  // [256][256], only for kGrayOfRgbMax
  AreaAxis rows_;
  RowPlan columns_;
  std::vector<Blend> blend_rows_;
  std::vector<Blend> blend_columns_;
};

}  // namespace actormimic
