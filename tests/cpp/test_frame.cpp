// The frame floor: SIMD against its scalar twin, and resizes against values worked out by hand.
#include <algorithm>
#include <random>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "frame/area_axis.hpp"
#include "frame/frame_processor.hpp"

using namespace actormimic;

namespace {

Palette random_palette(unsigned seed) {
  std::mt19937 random(seed);
  Palette palette;
  for (int i = 0; i < 256; ++i) {
    for (auto& channel : palette.rgb[i]) channel = static_cast<std::uint8_t>(random());
    palette.gray[i] = luminance(palette.rgb[i][0], palette.rgb[i][1], palette.rgb[i][2]);
  }
  return palette;
}

// Mostly even color indices in runs, as games draw them, with a few odd ones.
std::vector<std::uint8_t> random_screen(FrameShape shape, std::mt19937& random) {
  std::vector<std::uint8_t> screen(static_cast<std::size_t>(shape.height) * shape.width);
  std::uint8_t color = 0;
  for (auto& pixel : screen) {
    if (random() % 5 == 0) color = static_cast<std::uint8_t>(random() % 256 & ~1u);
    pixel = random() % 997 == 0 ? static_cast<std::uint8_t>(color | 1) : color;
  }
  return screen;
}

}  // namespace

TEST(axis_weights_cover_the_source_evenly) {
  for (const auto& [source, target] : {std::pair{210, 84}, {160, 84}, {250, 84}, {7, 3}, {5, 5}}) {
    const AreaAxis axis(source, target);
    std::vector<double> covered(source, 0.0);
    for (int o = 0; o < target; ++o) {
      double sum = 0.0;
      for (int t = 0; t < axis.taps; ++t) {
        sum += axis.weight[t][o];
        if (axis.weight[t][o] > 0) covered[axis.start[o] + t] += axis.weight[t][o];
      }
      CHECK(std::abs(sum - 1.0) < 1e-6);
    }
    for (const double share : covered)
      CHECK(std::abs(share - static_cast<double>(target) / source) < 1e-5);
  }
  CHECK_THROWS(AreaAxis(84, 85), std::invalid_argument);
  CHECK_THROWS(AreaAxis(84, 0), std::invalid_argument);
}

TEST(best_kernels_give_the_bytes_of_the_scalar_ones) {
  std::mt19937 random(7);
  const Palette palette = random_palette(3);
  for (const FrameShape source : {FrameShape{210, 160}, {250, 160}, {33, 47}, {16, 9}}) {
    for (const FrameShape target : {FrameShape{84, 84}, {16, 9}, {15, 7}, {5, 3}, {105, 80}}) {
      for (const FrameColor color :
           {FrameColor::kGray, FrameColor::kRgb, FrameColor::kGrayOfRgbMax}) {
        const FrameProcessor fast(source, target, color, palette, best_kernels());
        const FrameProcessor plain(source, target, color, palette, scalar_kernels());
        FrameScratch fast_scratch = fast.make_scratch();
        FrameScratch plain_scratch = plain.make_scratch();
        const auto a = random_screen(source, random);
        auto b = a;
        for (int i = 0; i < 50; ++i) b[random() % b.size()] ^= static_cast<std::uint8_t>(random());
        std::vector<std::uint8_t> x(fast.frame_bytes()), y(plain.frame_bytes());
        std::vector<std::uint8_t> pooled_x(fast.pooled_bytes()), pooled_y(plain.pooled_bytes());
        fast.pool(a.data(), b.data(), fast_scratch, pooled_x.data(), x.data());
        plain.pool(a.data(), b.data(), plain_scratch, pooled_y.data(), y.data());
        CHECK(x == y);
        CHECK(pooled_x == pooled_y);
        if (color == FrameColor::kGrayOfRgbMax) continue;
        const auto c = random_screen(source, random);
        fast.pool_onto(c.data(), fast_scratch, pooled_x.data(), x.data());
        plain.pool_onto(c.data(), plain_scratch, pooled_y.data(), y.data());
        CHECK(x == y);
        CHECK(pooled_x == pooled_y);
      }
    }
  }
}

TEST(area_average_of_a_fraction_of_pixels) {
  Palette identity;
  for (int i = 0; i < 256; ++i) identity.gray[i] = static_cast<std::uint8_t>(i);
  const FrameProcessor processor({1, 5}, {1, 2}, FrameColor::kGray, identity);
  FrameScratch scratch = processor.make_scratch();
  const std::uint8_t screen[] = {10, 20, 30, 40, 50};
  std::uint8_t out[2];
  processor.pool(screen, nullptr, scratch, nullptr, out);
  CHECK(out[0] == 18);  // (10 + 20 + 30/2) / 2.5
  CHECK(out[1] == 42);  // (30/2 + 40 + 50) / 2.5
}

TEST(maximum_of_rgb_is_taken_before_luminance) {
  Palette palette;
  palette.rgb[2] = {200, 0, 0};
  palette.rgb[4] = {0, 0, 200};
  for (const int i : {2, 4})
    palette.gray[i] = luminance(palette.rgb[i][0], palette.rgb[i][1], palette.rgb[i][2]);
  const std::uint8_t red = 2, blue = 4;
  std::uint8_t gray_first = 0, rgb_first = 0;
  const FrameProcessor by_gray({1, 1}, {1, 1}, FrameColor::kGray, palette);
  const FrameProcessor by_rgb({1, 1}, {1, 1}, FrameColor::kGrayOfRgbMax, palette);
  FrameScratch scratch = by_gray.make_scratch();
  by_gray.pool(&red, &blue, scratch, nullptr, &gray_first);
  by_rgb.pool(&red, &blue, scratch, nullptr, &rgb_first);
  CHECK(gray_first == luminance(200, 0, 0));
  CHECK(rgb_first == luminance(200, 0, 200));
}

TEST(sizes_are_checked) {
  CHECK_THROWS(FrameProcessor({0, 1}, {1, 1}, FrameColor::kGray, {}), std::invalid_argument);
  CHECK_THROWS(FrameProcessor({1, 1}, {1, 5000}, FrameColor::kGray, {}), std::invalid_argument);
}
