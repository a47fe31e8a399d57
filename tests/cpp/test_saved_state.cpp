// Saved states of a console as a damaged file would hand them over: refused where no console can
// have come there. The pool's checksum, which would refuse them all, is not asked.
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

#include "check.hpp"
#include "emulator/atari_env.hpp"
#include "saved_console.hpp"

using namespace actormimic;

namespace {

constexpr int kRow = 320;         // bytes of a mask
constexpr int kCopy = 16 * kRow;  // of a player's, for a position modulo four

TEST(masks_begin_where_an_object_may_stand) {
  for (const Emulation emulation : {Emulation::kFast, Emulation::kStock}) {
    Played played(emulation);
    const State state(played.console);
    for (const Place place : {kPlayer0, kPlayer1}) {
      // 0 is where it stands at power-on; then the positions 159, 0 and 3.
      for (const int offset : {0, 3 * kCopy + 4, 160, 3 * kCopy + 160, 4 * kCopy - 160})
        CHECK(played.takes(state.with_mask(place, 0, offset)));
      for (const int offset : {kCopy, 2 * kCopy, 2 * kCopy + 1, 3 * kCopy, 3 * kCopy + 1,
                               3 * kCopy + 2, 164, 319, 4 * kCopy - 1})
        CHECK(played.refuses(state.with_mask(place, 0, offset),
                             "mask offset " + std::to_string(offset)));
      CHECK(played.refuses(state.with_mask(place, 0, -1), "offset -1 of 20480"));
      CHECK(played.refuses(state.with_mask(place, 0, 4 * kCopy), "offset 20480 of 20480"));
    }
    for (const Place place : {kBall, kMissile0, kMissile1}) {
      CHECK(played.takes(state.with_mask(place, 0, 160)));
      CHECK(played.takes(state.with_mask(place, 1, 0)));
      CHECK(played.refuses(state.with_mask(place, 0, 161), "mask offset 161"));
      CHECK(played.refuses(state.with_mask(place, 1, 481), "offset 481 of 481"));
    }
    CHECK(played.takes(state.with_playfield(160)));
    CHECK(played.refuses(state.with_playfield(1), "playfield offset 1"));
  }
}

TEST(an_unfinished_frame_has_its_clocks_in_order) {
  for (const Emulation emulation : {Emulation::kFast, Emulation::kStock}) {
    Played played(emulation);
    const State state = State(played.console).unfinished();
    const int start = state.tia(kFrameStart), display = state.tia(kDisplayStart),
              stop = state.tia(kDisplayStop);
    CHECK(played.takes(state));
    CHECK(played.takes(
        state.with_tia(kBeam, display + 228).with_tia(kClocksToEnd, 0).with_pixel(160)));
    CHECK(played.takes(
        state.with_tia(kBeam, display + 70).with_tia(kClocksToEnd, 158).with_pixel(2)));
    for (const int left : {-1, 229, 1 << 30, -(1 << 30)}) {
      CHECK(played.refuses(state.with_tia(kClocksToEnd, left),
                           "clocks to the line's end " + std::to_string(left)));
    }
    CHECK(played.refuses(state.with_tia(kClocksToEnd, 227), "clocks between lines 227"));
    CHECK(played.refuses(state.with_tia(kFrameStart, 1), "frame start 1"));
    CHECK(played.refuses(state.with_tia(kFrameStart, -228), "frame start -228"));
    for (const auto& [number, name] :
         {std::pair{kDisplayStart, "display start "}, std::pair{kDisplayStop, "display stop "}}) {
      for (const int by : {-1, 228}) {
        const int moved = state.tia(number) + by;
        CHECK(played.refuses(state.with_tia(number, moved), name + std::to_string(moved)));
      }
    }
    for (const int beam : {start - 1, stop + 1})
      CHECK(played.refuses(state.with_tia(kBeam, beam), "beam clock " + std::to_string(beam)));
    CHECK(played.refuses(state.with_pixel(1), "pixels between rows 1"));
    CHECK(played.refuses(state.with_pixel(kPicture), "row 300"));
    CHECK(played.refuses(state.with_pixel(kPicture + 1), "offset 48001 of 48001"));
    // A frame that has ended leaves its clocks behind, and damage there does nothing.
    CHECK(played.takes(state.with_flag(0).with_tia(kClocksToEnd, 1 << 30)));
  }
}

TEST(registers_hold_what_a_program_can_put_there) {
  Played played(Emulation::kFast);
  const State state(played.console);
  for (int object = 0; object < 5; ++object) {
    CHECK(played.takes(state.with_tia(kPositionP0 + object, 159)));
    CHECK(played.refuses(state.with_tia(kPositionP0 + object, 160), "position 160"));
    CHECK(played.refuses(state.with_tia(kPositionP0 + object, -1), "position -1"));
    CHECK(played.takes(state.with_tia(kMotionP0 + object, 15)));
    CHECK(played.refuses(state.with_tia(kMotionP0 + object, 16), "motion 16"));
    CHECK(played.refuses(state.with_tia(kMotionP0 + object, -1), "motion -1"));
  }
  for (const int shift : {0, 3, 6, 10}) CHECK(played.takes(state.with_riot(kShift, shift)));
  for (const int shift : {1, 32, 255})
    CHECK(played.refuses(state.with_riot(kShift, shift), "timer shift " + std::to_string(shift)));
  CHECK(played.refuses(state.with_riot(kTimer, 256), "timer 256"));
}

TEST(a_frame_lasts_no_longer_than_clocks_count) {
  constexpr int kMostCycles = 1 << 29;
  for (const Emulation emulation : {Emulation::kFast, Emulation::kStock}) {
    Played played(emulation);
    const State ended(played.console);
    for (const State& state : {ended, ended.unfinished()}) {
      for (const int cycle : {0, kMostCycles})
        CHECK(played.takes(state.with_number("System", 0, cycle)));
      for (const int cycle : {-1, kMostCycles + 1, 0x30000000})
        CHECK(played.refuses(state.with_number("System", 0, cycle),
                             "cycle " + std::to_string(cycle)));
    }
  }
}

// What a game has not done for long lies further back than an integer holds, in real games too.
TEST(times_long_ago_wrap_as_those_of_ale) {
  constexpr int kMost = std::numeric_limits<int>::max(), kLeast = std::numeric_limits<int>::min();
  for (const char* game : {"pong", "seaquest", "tutankham"}) {
    Played fast(Emulation::kFast, game), stock(Emulation::kStock, game);
    const State begin(fast.console);
    for (const int time : {kLeast, kLeast + 1000, -1, 0, kMost - 1000, kMost}) {
      for (const State& state :
           {begin.with_tia(kMotionClock, time), begin.with_riot(kSetCycle, time),
            begin.with_riot(kReadCycle, time)}) {
        for (Played* played : {&fast, &stock}) {
          CHECK(state.load_into(played->console).empty());
          played->play(3);
        }
        CHECK(State(fast.console) == State(stock.console));
      }
    }
  }
}

// One game for each kind of cartridge that saves numbers.
TEST(lengths_and_banks_stay_within_the_cartridge) {
  struct Number {
    const char *game, *device;
    int number, most, least;
  };
  for (const Number& n : {
           Number{"pong", "M6532", 0, 128, 128},
           Number{"asterix", "CartridgeF8", 0, 1, 0},
           Number{"crossbow", "CartridgeF6", 0, 3, 0},
           Number{"darkchambers", "CartridgeF6SC", 0, 3, 0},
           Number{"darkchambers", "CartridgeF6SC", 1, 128, 128},
           Number{"elevator_action", "CartridgeF8SC", 0, 1, 0},
           Number{"elevator_action", "CartridgeF8SC", 1, 128, 128},
           Number{"montezuma_revenge", "CartridgeE0", 0, 4, 4},
           Number{"montezuma_revenge", "CartridgeE0", 1, 7, 0},
           Number{"montezuma_revenge", "CartridgeE0", 3, 7, 0},
           Number{"montezuma_revenge", "CartridgeE0", 4, 7, 7},
           Number{"pitfall2", "CartridgeDPC", 0, 1, 0},
           Number{"pitfall2", "CartridgeDPC", 1, 8, 8},
           Number{"pitfall2", "CartridgeDPC", 10, 8, 8},
           Number{"pitfall2", "CartridgeDPC", 19, 8, 8},
           Number{"pitfall2", "CartridgeDPC", 20, 0x7ff, 0},
           Number{"pitfall2", "CartridgeDPC", 27, 0x7ff, 0},
           Number{"pitfall2", "CartridgeDPC", 28, 8, 8},
           Number{"pitfall2", "CartridgeDPC", 37, 3, 3},
       }) {
    Played played(Emulation::kFast, n.game);
    const State state(played.console);
    CHECK(played.takes(state));
    for (const int value : {n.least, n.most})
      CHECK(played.takes(state.with_number(n.device, n.number, value)));
    for (const int value : {n.least - 1, n.most + 1, 0x7fffffff}) {
      CHECK(played.refuses(state.with_number(n.device, n.number, value),
                           "number " + std::to_string(n.number) + " of " + n.device + " is " +
                               std::to_string(value)));
    }
    CHECK(played.refuses(state.without_name(n.device), std::string("it has no ") + n.device));
  }
}

TEST(a_machine_is_laid_out_as_the_console_saves_it) {
  Played played(Emulation::kFast);
  const State state(played.console);
  const std::string machine = state.machine();
  const auto changed = [&](std::size_t at, const std::string& to) {
    return state.with_machine(std::string(machine).replace(at, to.size(), to));
  };
  // A generator ends in its place among 624 numbers, which has three digits in both.
  const std::size_t generator = machine.find("System") + 6 + 4 + 4;
  const std::size_t length = static_cast<std::uint8_t>(machine[generator - 4]) +
                             256u * static_cast<std::uint8_t>(machine[generator - 3]);
  for (const std::size_t end : {generator + length, machine.size()}) {
    CHECK(played.takes(changed(end - 3, "624")));
    CHECK(played.refuses(changed(end - 3, "625"), "its generator cannot be read"));
    CHECK(played.refuses(changed(end - 1, "?"), "its generator cannot be read"));
  }
  for (const char* first : {"?", "-"})
    CHECK(played.refuses(changed(generator, first), "its generator cannot be read"));
  CHECK(played.refuses(changed(0, "\xff\xff\xff\xff"), "length -1"));
  CHECK(played.refuses(changed(0, "\xff\xff\xff\x7f"), "length 2147483647"));
  CHECK(played.refuses(state.with_machine(machine + "?"), "its machine has bytes too many"));
  CHECK(state.with_machine(machine.substr(0, 3)).load_into(played.console) ==
        "the saved state is cut short");
  // ALE's own refusals: a flag of the processor that is none, another cartridge.
  CHECK(played.refuses(state.with_number("M6502Low", 6, 0), "ALE cannot read it"));
  CHECK(played.refuses(changed(4, "?"), "ALE cannot read it"));
}

TEST(counters_and_paddles_are_possible) {
  Played played(Emulation::kFast, "breakout");
  const State state(played.console);
  CHECK(played.takes(state.with_counter(kLeftPaddle, 27450)));
  for (const Counter paddle : {kLeftPaddle, kRightPaddle}) {
    CHECK(played.refuses(state.with_counter(paddle, 27449), "paddle 27449"));
    CHECK(played.refuses(state.with_counter(paddle, 790197), "paddle 790197"));
  }
  CHECK(played.takes(state.with_counter(kFrame, kMostFrames)));
  for (const int frame : {-1, kMostFrames + 1})
    CHECK(
        played.refuses(state.with_counter(kFrame, frame), "frame number " + std::to_string(frame)));
  const State early = state.with_counter(kFrame, 7);
  CHECK(played.takes(early.with_counter(kEpisodeFrame, 7)));
  for (const int frame : {-1, 8})
    CHECK(played.refuses(early.with_counter(kEpisodeFrame, frame),
                         "frame number of the episode " + std::to_string(frame)));
  CHECK(played.refuses(state.with_counter(kMode, 4), "mode 4"));
  CHECK(played.refuses(state.with_counter(kDifficulty, 1), "difficulty 1"));
  Played other(Emulation::kFast, "breakout", 4, 1);
  CHECK(other.takes(State(other.console)));
  CHECK(other.refuses(state, "mode 0"));
  CHECK(played.refuses(state.with_counter(kTextLength, 1), "length of a text 1"));
  CHECK(played.refuses(state.with_counter(kLowestPaddle, 0), "lowest paddle 0"));
  CHECK(played.refuses(state.with_counter(kHighestPaddle, 0), "highest paddle 0"));
  CHECK(played.refuses(state.with_counters("?"), "1 bytes of counters"));
}

TEST(a_sliced_cartridge_shows_the_slices_that_were_saved) {
  for (const Emulation emulation : {Emulation::kFast, Emulation::kStock}) {
    Played played(emulation, "montezuma_revenge");
    const State before(played.console);
    played.play(1);
    const State expected(played.console);
    CHECK(before.with_number("CartridgeE0", 2, 5).load_into(played.console).empty());
    played.play(1);
    CHECK(!(State(played.console).with_number("CartridgeE0", 2, 1) == expected));
    CHECK(before.load_into(played.console).empty());
    played.play(1);
    CHECK(State(played.console) == expected);
  }
}

// Damage that shows only in the chips comes too late for the console to stay what it was.
TEST(a_console_half_loaded_refuses_to_go_on) {
  for (const Emulation emulation : {Emulation::kFast, Emulation::kStock}) {
    Played played(emulation), untouched(emulation);
    const State sound(played.console);
    const auto half_load = [&] {
      CHECK(!sound.with_tia(kPositionP0, 160).load_into(played.console).empty());
      CHECK_THROWS(played.console.act(0, 1.0f), std::runtime_error);
      CHECK_THROWS(State{played.console}, std::runtime_error);
    };
    half_load();
    CHECK(sound.load_into(played.console).empty());
    played.play(5);
    untouched.play(5);
    CHECK(State(played.console) == State(untouched.console));
    half_load();
    played.console.reset();
    played.play(5);
    half_load();
    played.console.power_on(3);
    played.console.reset();
    played.play(40);
    played.play(5);
    CHECK(State(played.console) == State(untouched.console));
    for (const State& damaged :
         {sound.with_counter(kFrame, -1), sound.with_number("System", 0, -1)}) {
      CHECK(!damaged.load_into(played.console).empty());
      CHECK(State(played.console) == State(untouched.console));
    }
  }
}

TEST(an_environment_half_loaded_refuses_to_go_on) {
  EnvSettings settings;
  settings.maxpool = false;
  AtariEnv env(choice_of("pong"), settings);
  env.set_seed(3);
  env.reset();
  const auto saved = [&env] {
    StateWriter out;
    env.save(out);
    return out.take();
  };
  const auto load = [&env](const std::string& bytes) {
    StateReader in(bytes.data(), bytes.size());
    env.load(in);
  };
  const std::string sound = saved();
  for (const std::size_t missing : {std::size_t{1}, env.obs_bytes() + 30, sound.size() / 2}) {
    CHECK_THROWS(load(sound.substr(0, sound.size() - missing)), std::invalid_argument);
    CHECK_THROWS(env.step(0, 1.0f), std::runtime_error);
    CHECK_THROWS(saved(), std::runtime_error);
    load(sound);
    CHECK(saved() == sound);
    env.step(0, 1.0f);
  }
  CHECK_THROWS(load(""), std::invalid_argument);
  env.reset();
  env.step(0, 1.0f);
  // Lives that a game's rules count below zero; behind them are a reward, eight flags, the newest
  // frame's number, three lengths and the frames.
  std::string negative = sound;
  const std::int32_t lives = -3;
  std::memcpy(&negative[sound.size() - env.obs_bytes() - 24 - 4 - 8 - 4 - 4], &lives, sizeof lives);
  load(negative);
  CHECK(saved() == negative);
}

// Neither side of a save knows more frames than the other.
TEST(a_console_that_counts_too_many_frames_is_not_saved) {
  Played played(Emulation::kFast);
  const State state(played.console);
  CHECK(state.with_counter(kFrame, kMostFrames).load_into(played.console).empty());
  State{played.console};
  played.play(1);
  CHECK_THROWS(State{played.console}, std::runtime_error);
  CHECK(state.load_into(played.console).empty());
  CHECK(State(played.console) == state);
}

}  // namespace
