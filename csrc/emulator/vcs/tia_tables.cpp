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

constexpr ObjectMasks object_masks() {
  ObjectMasks masks{};
  const auto set = [&masks](int row, int pixel, int value) {
    masks.bytes[row * ObjectMasks::kRow + pixel % kPixels] = static_cast<std::uint8_t>(value);
  };
  for (int mode = 0; mode < ObjectMasks::kModes; ++mode) {
    const Copies& copies = kCopies[mode];
    for (int without_first = 0; without_first < 2; ++without_first) {
      const int row = without_first * ObjectMasks::kModes + mode;
      for (int bit = 0; bit < 8; ++bit) {
        // A stretched player starts one clock late.
        const int width = stretch(mode);
        for (int i = 0; i < width && without_first == 0; ++i)
          set(row, bit * width + i + (width > 1 ? 1 : 0), 0x80 >> bit);
        for (int c = 0; c < copies.count; ++c) set(row, copies.distance[c] + bit, 0x80 >> bit);
      }
    }
    for (int size = 0; size < ObjectMasks::kSizes; ++size) {
      for (int i = 0; i < 1 << size; ++i) {
        const int row = ObjectMasks::kFirstMissile + mode * ObjectMasks::kSizes + size;
        set(row, i, 0xff);
        for (int c = 0; c < copies.count; ++c) set(row, copies.distance[c] + i, 0xff);
      }
    }
  }
  for (int row = 0; row < ObjectMasks::kEmpty; ++row) {
    std::uint8_t* first = masks.bytes + row * ObjectMasks::kRow;
    for (int x = kPixels; x < ObjectMasks::kRow; ++x) first[x] = first[x - kPixels];
  }
  return masks;
}

constexpr MotionTable motion_table() {
  MotionTable table{};
  for (int cycle = 0; cycle < kLineCycles; ++cycle) {
    for (int nibble = 0; nibble < 16; ++nibble) {
      const int left = nibble < 8 ? nibble : nibble - 16;
      int right = -left;
      // HMOVE feeds the counters an extra clock every four clocks and the blank is lengthened by
      // eight. A strobe later in the blank has fewer extra clocks left to give; one that is so late
      // that its clocks fall on visible pixels, where the counters run anyway, gives the ones that
      // remain after the line's end, without the longer blank to make up for them.
      if (cycle <= kLastBlankCycle) {
        right = std::max(right, (3 * cycle + 1) / 4 - 9);
      } else if (cycle < kLineCycles - 1) {
        right = std::min(0, 3 * (kLineCycles - 2 - cycle) / 4 - (left + 8));
      }
      table.pixels[cycle][nibble] = static_cast<std::int8_t>(right);
    }
  }
  return table;
}

constexpr ResetTable reset_table() {
  ResetTable table{};
  for (int mode = 0; mode < 8; ++mode) {
    const auto copy = [&table, mode](int start, int width) {
      for (int x = 0; x < 4 + width; ++x)
        table.meets[mode][(start + x) % kPixels] = x < 4 ? Meets::kStart : Meets::kGraphics;
    };
    copy(0, 8 * stretch(mode));
    for (int c = 0; c < kCopies[mode].count; ++c) copy(kCopies[mode].distance[c], 8);
  }
  return table;
}

constexpr ReversedBits reversed_bits() {
  ReversedBits reversed{};
  for (int byte = 0; byte < 256; ++byte)
    for (int bit = 0; bit < 8; ++bit)
      if ((byte >> bit & 1) != 0) reversed.of[byte] |= static_cast<std::uint8_t>(0x80 >> bit);
  return reversed;
}

}  // namespace

constexpr ObjectMasks kObjectMasks = object_masks();
constexpr MotionTable kMotionTable = motion_table();
constexpr ResetTable kResetTable = reset_table();
constexpr ReversedBits kReversedBits = reversed_bits();

}  // namespace actormimic::vcs
