// What a screen's color indices look like: the table from an index to gray and to RGB.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace actormimic {

struct Palette {
  std::array<std::uint8_t, 256> gray{};
  std::array<std::array<std::uint8_t, 3>, 256> rgb{};
};

// ITU-R BT.601 luma with the coefficients and the rounding that ALE's own gray table was made with.
inline std::uint8_t luminance(std::uint8_t red, std::uint8_t green, std::uint8_t blue) {
  return static_cast<std::uint8_t>(std::round(red * 0.2989 + green * 0.5870 + blue * 0.1140));
}

}  // namespace actormimic
