#include "ops/frame_gather.hpp"

#include "common/check.hpp"

namespace actormimic::ops {

namespace {

bool aligned(const void* memory, std::uintptr_t bytes) {
  return reinterpret_cast<std::uintptr_t>(memory) % bytes == 0;
}

template <typename Element>
void gather_as(const FrameGather& g) {
  auto* out = static_cast<Element*>(g.out);
  // Distance between two pixels of a frame, and between two frames of a stack.
  const std::int64_t pixel_step = g.channels_last ? kStack : 1;
  const std::int64_t frame_step = g.channels_last ? 1 : g.pixels;
  for (std::int64_t stack = 0; stack < g.stacks; ++stack)
    for (int frame = 0; frame < kStack; ++frame) {
      const std::int64_t source = g.index[stack * kStack + frame];
      Element* to = out + stack * kStack * g.pixels + frame * frame_step;
      if (source == kNoFrame) {
        for (std::int64_t p = 0; p < g.pixels; ++p) store(0.0f, to + p * pixel_step);
      } else {
        const std::uint8_t* from = g.frames + source * g.pixels;
        for (std::int64_t p = 0; p < g.pixels; ++p)
          store_pixel(from[p], kPixelFactor, to + p * pixel_step);
      }
    }
}

}  // namespace

void FrameGather::check() const {
  require(frame_count >= 0, "frame_count is ", frame_count, "; allowed: 0 or more");
  require_range<std::int64_t>("stacks", stacks, 0, kMaxStacks);
  require(pixels > 0 && pixels % 8 == 0, "a frame has ", pixels,
          " pixels; allowed: positive multiples of 8");
  require_range("type", static_cast<int>(type), 0, static_cast<int>(ElementType::kFloat64));
  require(type != ElementType::kFloat64, "type is float64; allowed: float32, bfloat16, float16");
  require(stacks == 0 || (index && out), "index and out need memory");
  require(frame_count == 0 || frames, "frames has no memory");
  require(aligned(frames, 8), "frames is not aligned to 8 bytes");
  require(aligned(out, 16), "out is not aligned to 16 bytes");
}

void gather_frames(const FrameGather& gather) {
  gather.check();
  for (std::int64_t i = 0; i < gather.stacks * kStack; ++i)
    if (gather.index[i] != kNoFrame) require_index("index", gather.index[i], gather.frame_count);
  switch (gather.type) {
    case ElementType::kBFloat16:
      return gather_as<BFloat16>(gather);
    case ElementType::kFloat16:
      return gather_as<Float16>(gather);
    default:
      return gather_as<float>(gather);
  }
}

}  // namespace actormimic::ops
