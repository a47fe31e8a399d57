// The TIA's registers and tables beside ALE's, compared in every byte of state.
// ACTORMIMIC_TIA_FRAMES=20000 makes random accesses for so many frames.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <random>
#include <vector>

#include "ale_machine.hpp"
#include "check.hpp"
#include "emulator/tia_access.hpp"
#include "emulator/vcs/tia.hpp"

namespace ale {
namespace stella {

// ALE's tables beside ours.
class TIADebug::Tables {
 public:
  static bool masks_equal() {
    using namespace actormimic::vcs;
    const auto same = [](MaskPlace place, const std::uint8_t* mask, bool whole_byte) {
      for (int x = 0; x < kPixels; ++x)
        if (kObjectMasks.bytes[place + x] != (whole_byte && mask[x] != 0 ? 0xff : mask[x]))
          return false;
      return true;
    };
    for (int position = 0; position < kPixels; ++position) {
      const int copy = position & 3, start = kPixels - (position & 0xfc);
      for (int mode = 0; mode < 8; ++mode) {
        for (int without_first = 0; without_first < 2; ++without_first)
          if (!same(place_at(player_shape(mode, without_first != 0), position),
                    TIA::ourPlayerMaskTable[copy][without_first][mode] + start, false))
            return false;
        for (int size = 0; size < 4; ++size)
          if (!same(place_at(missile_shape(mode, size), position),
                    TIA::ourMissleMaskTable[copy][mode][size] + start, true))
            return false;
      }
      for (int size = 0; size < 4; ++size)
        if (!same(place_at(ball_shape(size << 4), position),
                  TIA::ourBallMaskTable[copy][size] + start, true))
          return false;
    }
    return true;
  }

  static bool motions_equal() {
    for (int cycle = 0; cycle < 76; ++cycle) {
      for (int nibble = 0; nibble < 16; ++nibble)
        if (actormimic::vcs::kMotionTable.pixels[cycle][nibble] !=
            TIA::ourCompleteMotionTable[cycle][nibble])
          return false;
      const bool blank = cycle <= actormimic::vcs::kLastBlankCycle || cycle == 75;
      if (TIA::ourHMOVEBlankEnableCycles[cycle] != blank) return false;
    }
    return true;
  }

  static bool resets_equal() {
    using actormimic::vcs::Meets;
    for (int mode = 0; mode < 8; ++mode) {
      for (int before = 0; before < 160; ++before) {
        for (int after = 0; after < 160; ++after) {
          const Meets meets =
              actormimic::vcs::kResetTable.meets[mode][(after - before + 160) % 160];
          const int as_ale = meets == Meets::kStart ? -1 : meets == Meets::kGraphics ? 1 : 0;
          if (TIA::ourPlayerPositionResetWhenTable[mode][before][after] != as_ale) return false;
        }
      }
    }
    return true;
  }

  static bool reversed_bits_equal() {
    return std::equal(std::begin(actormimic::vcs::kReversedBits.of),
                      std::end(actormimic::vcs::kReversedBits.of), TIA::ourPlayerReflectTable);
  }

  // But for the playfield's, which ALE has in its code.
  static bool delays_equal() {
    for (int reg = 0; reg < 64; ++reg) {
      const bool playfield = TIA::ourPokeDelayTable[reg] == -1;
      if (playfield != (reg >= 0x0d && reg <= 0x0f)) return false;
      for (int phase = 0; phase < 4 && !playfield; ++phase)
        if (actormimic::vcs::kWriteDelay[phase][reg] != TIA::ourPokeDelayTable[reg]) return false;
    }
    return true;
  }
};

}  // namespace stella
}  // namespace ale

using namespace actormimic;
using ale::stella::TIADebug;

namespace {

// One access to the TIA, or nothing where `reg` is kInterrupt.
struct Access {
  std::uint32_t cycles_before;
  std::uint8_t reg, value;
  bool read;
};
constexpr std::uint8_t kInterrupt = 0xff;

// No processor at all: makes accesses that it is given, to our TIA or to ALE's.
class Script : public ale::stella::M6502Low {
 public:
  explicit Script(const vcs::PixelLoops* loops) : M6502Low(1) {
    if (loops != nullptr) tia_ = std::make_unique<vcs::Tia>(*loops);
  }
  bool execute(std::uint32_t) override {
    ale::stella::TIA& ale_tia = mySystem->tia();
    myExecutionStatus = 0;
    myLastAccessWasRead = true;  // WSYNC waits
    reads.clear();
    if (tia_ != nullptr) tia_->borrow(ale_tia);
    for (const Access& access : *accesses) {
      mySystem->incrementCycles(access.cycles_before);
      std::uint32_t cycle = mySystem->cycles();
      if (access.reg == kInterrupt) {
        // Let ALE's TIA have its state for a moment.
        if (tia_ != nullptr) tia_->give_back();
        if (tia_ != nullptr) tia_->borrow(ale_tia);
      } else if (access.read) {
        reads.push_back(tia_ != nullptr ? tia_->peek(access.reg, cycle, 0x2a)
                                        : ale_tia.peek(access.reg));
      } else if (tia_ != nullptr) {
        tia_->poke(access.reg, access.value, cycle);
        mySystem->incrementCycles(cycle - mySystem->cycles());
        if (tia_->stopped()) stop();
      } else {
        ale_tia.poke(access.reg, access.value);
      }
      if ((myExecutionStatus & StopExecutionBit) != 0) break;
    }
    if (tia_ != nullptr) tia_->give_back();
    return true;
  }

  const std::vector<Access>* accesses = nullptr;
  std::vector<std::uint8_t> reads;

 private:
  std::unique_ptr<vcs::Tia> tia_;
};

// A frame of accesses as no sane program makes them: it may end by VSYNC anywhere, by too many
// lines, or be cut short without either.
std::vector<Access> random_frame(std::mt19937& random) {
  const auto below = [&random](unsigned n) { return static_cast<unsigned>(random() % n); };
  // Registers come in bursts, so that objects stay on for a while and writes repeat.
  static constexpr std::uint8_t kValues[] = {0x00, 0x00, 0x02, 0xff, 0x0f, 0x35, 0x08, 0x66, 0x71};
  const unsigned lines = below(3) == 0 ? 20 + below(280) : 262;
  const unsigned pace = 2 + below(below(4) == 0 ? 200 : 20);
  const unsigned blanks = 1 + below(40);
  std::vector<Access> frame;
  std::uint32_t cycles = 0;
  const auto add = [&](unsigned before, unsigned reg, unsigned value, bool read = false) {
    cycles += before;
    frame.push_back(
        {before, static_cast<std::uint8_t>(reg), static_cast<std::uint8_t>(value), read});
  };
  while (cycles < lines * 76) {
    const unsigned before = below(4) == 0 ? 0 : 2 + below(pace);
    const unsigned value = below(3) == 0 ? below(256) : kValues[below(sizeof kValues)];
    switch (below(16)) {
      case 0:
        add(before, below(16), 0, true);
        break;
      case 1:
        add(before, vcs::kWsync, value);
        cycles += 38;  // or so
        break;
      case 2:
        add(before, below(blanks) == 0 ? vcs::kVblank : vcs::kHmove, below(3) == 0 ? 2 : 0x80);
        break;
      case 3:
        // The star field of Cosmic Ark, where the timing is right.
        add(before, vcs::kHmm0, 0x70);
        add(3, vcs::kWsync, 0);
        add(3, vcs::kHmove, 0);
        add(21, vcs::kHmm0, 0x60);
        break;
      case 4:
        add(before, kInterrupt, 0);
        break;
      default:
        add(before, 0x04 + below(0x2a), value);
        break;
    }
  }
  if (below(4) != 0) {
    add(3, vcs::kVsync, 2);
    for (unsigned n = below(6); n > 0; --n) add(2 + below(30), 0x04 + below(0x2a), below(256));
    add(76 + below(100), vcs::kVsync, 0);
  }
  return frame;
}

// Whether both TIAs answer the same and end in the same state.
bool same_frame(Machine& stock, Script& expected, Machine& ours, Script& got,
                const std::vector<Access>& accesses) {
  expected.accesses = got.accesses = &accesses;
  // The bus holds the same byte for both, and floats in what they read.
  stock.system->poke(0x80, 0x2a);
  ours.system->poke(0x80, 0x2a);
  stock.console->mediaSource().update();
  ours.console->mediaSource().update();
  return expected.reads == got.reads && SavedState(ours) == SavedState(stock);
}

// Answers the first frame that differs, or -1.
int play_script(const char* game, int frames, unsigned seed, const vcs::PixelLoops& loops) {
  Machine stock(rom_path(game)), ours(rom_path(game));
  auto* const expected = new Script(nullptr);
  auto* const got = new Script(&loops);
  stock.use(expected);
  ours.use(got);
  std::mt19937 random(seed);
  for (int frame = 0; frame < frames; ++frame) {
    // The beam then stands before the display of a frame that goes on.
    if (TIADebug::unfinished(stock.system->tia()) && random() % 3 == 0)
      for (Machine* machine : {&stock, &ours}) machine->system->reset();
    if (!same_frame(stock, *expected, ours, *got, random_frame(random))) return frame;
    SavedState(ours).load(ours);  // throws if it takes a real state for a damaged one
  }
  return -1;
}

TEST(random_accesses) {
  // NTSC and PAL, which loses color after an odd number of lines, and a game without HMOVE's blank.
  const char* const asked = std::getenv("ACTORMIMIC_TIA_FRAMES");
  const int frames = asked != nullptr ? std::atoi(asked) : 300;
  for (const char* game : {"pong", "adventure", "asteroids"}) {
    CHECK(play_script(game, frames, 1, vcs::best_loops()) == -1);
    CHECK(play_script(game, frames, 2, vcs::plain_loops()) == -1);
  }
}

// PF0 to PF2 show only where a block of four pixels begins, so that it matters when in a line they
// are written.
TEST(playfield_writes_show_as_late) {
  Script* expected = nullptr;
  Script* got = nullptr;
  Machine stock(rom_path("pong")), ours(rom_path("pong"));
  stock.use(expected = new Script(nullptr));
  ours.use(got = new Script(&vcs::best_loops()));
  bool shown = false;
  for (int cycle = 0; cycle < vcs::kLineCycles; ++cycle) {
    for (const std::uint8_t reg : {vcs::kPf0, vcs::kPf1, vcs::kPf2}) {
      std::vector<Access> accesses = {{0, vcs::kVblank, 0, false}, {3, vcs::kColupf, 0x0e, false},
                                      {3, vcs::kCtrlpf, 0, false}, {3, vcs::kPf0, 0, false},
                                      {3, vcs::kPf1, 0, false},    {3, vcs::kPf2, 0, false}};
      for (int line = 0; line < 100; ++line) accesses.push_back({3, vcs::kWsync, 0, false});
      accesses.push_back({static_cast<std::uint32_t>(cycle), reg, 0xff, false});
      accesses.push_back({vcs::kLineCycles, reg, 0, false});
      accesses.push_back({100, vcs::kVsync, 2, false});
      accesses.push_back({200, vcs::kVsync, 0, false});
      CHECK(same_frame(stock, *expected, ours, *got, accesses));
      const std::uint8_t* const picture = ours.console->mediaSource().currentFrameBuffer();
      shown = shown || std::find(picture, picture + vcs::kPictureBytes, 0x0e) !=
                           picture + vcs::kPictureBytes;
    }
  }
  CHECK(shown);
}

TEST(tables_equal_those_of_ale) {
  Machine loaded(rom_path("pong"));  // ALE computes its tables with its first TIA
  CHECK(TIADebug::Tables::masks_equal());
  CHECK(TIADebug::Tables::motions_equal());
  CHECK(TIADebug::Tables::resets_equal());
  CHECK(TIADebug::Tables::reversed_bits_equal());
  CHECK(TIADebug::Tables::delays_equal());
}

}  // namespace
