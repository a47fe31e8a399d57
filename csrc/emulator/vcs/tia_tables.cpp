#include "emulator/vcs/tia_tables.hpp"

#include <algorithm>

namespace actormimic::vcs {
namespace {

// Distances from the first copy to each further one; NUSIZ & 7.
struct Copies {
  int count;
  int distance[2];
};
constexpr Copies kCopies[8] = {{0, {}},   {1, {16}}, {1, {32}},     {2, {16, 32}},
                               {1, {64}}, {0, {}},   {2, {32, 64}}, {0, {}}};

// Clocks per bit of a player's graphics.
constexpr int stretch(int mode) { return mode == 5 ? 2 : mode == 7 ? 4 : 1; }

}  // namespace

ObjectMasks::ObjectMasks() : bytes{} {
  const auto set = [this](int row, int pixel, int value) {
    bytes[row * kRow + pixel % kPixels] = static_cast<std::uint8_t>(value);
  };
  for (int mode = 0; mode < kModes; ++mode) {
    const Copies& copies = kCopies[mode];
    for (int without_first = 0; without_first < 2; ++without_first) {
      const int row = without_first * kModes + mode;
      for (int bit = 0; bit < 8; ++bit) {
        // A stretched player starts one clock late.
        const int width = stretch(mode);
        for (int i = 0; i < width && without_first == 0; ++i)
          set(row, bit * width + i + (width > 1 ? 1 : 0), 0x80 >> bit);
        for (int c = 0; c < copies.count; ++c) set(row, copies.distance[c] + bit, 0x80 >> bit);
      }
    }
    for (int size = 0; size < kSizes; ++size) {
      for (int i = 0; i < 1 << size; ++i) {
        const int row = kFirstMissile + mode * kSizes + size;
        set(row, i, 0xff);
        for (int c = 0; c < copies.count; ++c) set(row, copies.distance[c] + i, 0xff);
      }
    }
  }
  for (int row = 0; row < kEmpty; ++row) {
    std::uint8_t* first = bytes + row * kRow;
    for (int x = kPixels; x < kRow; ++x) first[x] = first[x - kPixels];
  }
}

MotionTable::MotionTable() {
  for (int cycle = 0; cycle < kLineCycles; ++cycle) {
    for (int nibble = 0; nibble < 16; ++nibble) {
      const int left = nibble < 8 ? nibble : nibble - 16;
      int right = -left;
      // HMOVE feeds the counters an extra clock every four clocks and the blank is lengthened by
      // eight. A strobe later in the blank has fewer extra clocks left to give; one that is so late
      // that its clocks fall on visible pixels, where the counters run anyway, gives the ones that
      // remain after the line's end, without the longer blank to make up for them.
      if (cycle <= 20) {
        right = std::max(right, (3 * cycle + 1) / 4 - 9);
      } else if (cycle < kLineCycles - 1) {
        right = std::min(0, 3 * (kLineCycles - 2 - cycle) / 4 - (left + 8));
      }
      pixels[cycle][nibble] = static_cast<std::int8_t>(right);
    }
  }
}

ResetTable::ResetTable() {
  for (int mode = 0; mode < 8; ++mode) {
    std::fill_n(meets[mode], kPixels, Meets::kNothing);
    const auto copy = [&](int start, int width) {
      for (int x = 0; x < 4 + width; ++x)
        meets[mode][(start + x) % kPixels] = x < 4 ? Meets::kStart : Meets::kGraphics;
    };
    copy(0, 8 * stretch(mode));
    for (int c = 0; c < kCopies[mode].count; ++c) copy(kCopies[mode].distance[c], 8);
  }
}

ReversedBits::ReversedBits() {
  for (int byte = 0; byte < 256; ++byte) {
    of[byte] = 0;
    for (int bit = 0; bit < 8; ++bit)
      if (byte >> bit & 1) of[byte] |= static_cast<std::uint8_t>(0x80 >> bit);
  }
}

const ObjectMasks& object_masks() {
  static const ObjectMasks masks;
  return masks;
}
const MotionTable& motion_table() {
  static const MotionTable table;
  return table;
}
const ResetTable& reset_table() {
  static const ResetTable table;
  return table;
}
const ReversedBits& reversed_bits() {
  static const ReversedBits table;
  return table;
}

}  // namespace actormimic::vcs
