// What the TIA's counters and comparators amount to, as tables: where on a line an object shows,
// how far HMOVE moves it, what a strobe of RESP meets.
//
// The timing is that of ALE's TIA, which stands for the hardware here; tests compare every entry.
#pragma once

#include <array>
#include <cstdint>

namespace actormimic::vcs {

// A line: 68 color clocks of horizontal blank, then 160 pixels; three clocks to a CPU cycle.
inline constexpr int kBlankClocks = 68;
inline constexpr int kPixels = 160;
inline constexpr int kLineClocks = kBlankClocks + kPixels;
inline constexpr int kLineCycles = kLineClocks / 3;
// Of ALE's pictures, which have room for more lines than any television shows.
inline constexpr int kPictureBytes = kPixels * 300;

// HMOVE in a line's last cycle, or up to this one, falls into the blank and lengthens it.
inline constexpr int kLastBlankCycle = 20;

// Vector loops may read this many bytes past the end of a row.
inline constexpr int kVectorPadding = 32;

// Bits of the objects, in the order in which ALE numbers them, and the two of CTRLPF that change
// how the playfield is drawn.
enum Object : std::uint8_t {
  kPlayer0 = 0x01,
  kMissile0 = 0x02,
  kPlayer1 = 0x04,
  kMissile1 = 0x08,
  kBall = 0x10,
  kPlayfield = 0x20,
  kScore = 0x40,
  kPriority = 0x80,
};

// The registers that a program writes.
enum Register : std::uint8_t {
  kVsync = 0x00,
  kVblank,
  kWsync,
  kRsync,
  kNusiz0,
  kNusiz1,
  kColup0,
  kColup1,
  kColupf = 0x08,
  kColubk,
  kCtrlpf,
  kRefp0,
  kRefp1,
  kPf0,
  kPf1,
  kPf2,
  kResp0 = 0x10,
  kResp1,
  kResm0,
  kResm1,
  kResbl,
  kAudc0,
  kAudc1,
  kAudf0,
  kAudf1 = 0x18,
  kAudv0,
  kAudv1,
  kGrp0,
  kGrp1,
  kEnam0,
  kEnam1,
  kEnabl,
  kHmp0 = 0x20,
  kHmp1,
  kHmm0,
  kHmm1,
  kHmbl,
  kVdelp0,
  kVdelp1,
  kVdelbl,
  kResmp0 = 0x28,
  kResmp1,
  kHmove,
  kHmclr,
  kCxclr,
  kRegisters = 0x40,
};

// Clocks from a write to its effect, by the CPU cycle of the line modulo four, because the
// playfield changes only where a block of four pixels begins.
inline constexpr auto kWriteDelay = [] {
  std::array<std::array<std::uint8_t, kRegisters>, 4> delay{};
  constexpr std::uint8_t playfield[4] = {4, 5, 2, 3};
  for (int phase = 0; phase < 4; ++phase) {
    for (const int reg : {kVblank, kRefp0, kRefp1, kGrp0, kGrp1}) delay[phase][reg] = 1;
    for (const int reg : {kNusiz0, kNusiz1, kResm0, kResm1}) delay[phase][reg] = 8;
    for (const int reg : {kPf0, kPf1, kPf2}) delay[phase][reg] = playfield[phase];
  }
  return delay;
}();
// The most that kWriteDelay, or a RESP in the middle of a player's graphics, puts off.
inline constexpr int kLongestDelay = 11;

// Where an object shows: bytes[place + x] belongs to pixel x. A player's byte is the bit of its
// graphics that shows there; a missile's and the ball's is 0xff. Each row is a line twice over, so
// that one row serves every position.
using MaskPlace = std::uint16_t;

struct ObjectMasks {
  static constexpr int kRow = 2 * kPixels + kVectorPadding;
  static constexpr int kModes = 8;                  // NUSIZ: copies and player size
  static constexpr int kSizes = 4;                  // 1, 2, 4, 8 pixels
  static constexpr int kFirstMissile = 2 * kModes;  // after the rows of players
  static constexpr int kEmpty = kFirstMissile + kModes * kSizes;

  std::uint8_t bytes[(kEmpty + 1) * kRow];
};
extern const ObjectMasks kObjectMasks;

// `without_first`: until the line after a RESP the TIA leaves out the first copy. Less the object's
// position this is a place.
constexpr MaskPlace player_shape(int nusiz, bool without_first) {
  const int row = (without_first ? ObjectMasks::kModes : 0) + (nusiz & 7);
  return static_cast<MaskPlace>(row * ObjectMasks::kRow + kPixels);
}
constexpr MaskPlace missile_shape(int nusiz, int size) {
  const int row = ObjectMasks::kFirstMissile + (nusiz & 7) * ObjectMasks::kSizes + size;
  return static_cast<MaskPlace>(row * ObjectMasks::kRow + kPixels);
}
constexpr MaskPlace missile_shape(int nusiz) { return missile_shape(nusiz, nusiz >> 4 & 3); }
// The ball is a missile without copies.
constexpr MaskPlace ball_shape(int ctrlpf) { return missile_shape(0, ctrlpf >> 4 & 3); }
constexpr MaskPlace place_at(MaskPlace shape, int position) {
  return static_cast<MaskPlace>(shape - position);
}
inline constexpr MaskPlace kNowhere = ObjectMasks::kEmpty * ObjectMasks::kRow;

// Pixels that HMOVE moves an object to the right when strobed in CPU cycle `cycle` (0 to 75) of a
// line, for the upper nibble of a motion register.
struct MotionTable {
  std::int8_t pixels[kLineCycles][16];
};
extern const MotionTable kMotionTable;

// What a player is doing at the pixel where RESP puts it anew, `distance` (0 to 159) pixels right
// of where it was.
enum class Meets : std::uint8_t { kNothing, kStart, kGraphics };
struct ResetTable {
  Meets meets[8][kPixels];
};
extern const ResetTable kResetTable;

// The bits of a byte in reverse order: a reflected player, and PF1.
struct ReversedBits {
  std::uint8_t of[256];
};
extern const ReversedBits kReversedBits;

}  // namespace actormimic::vcs
