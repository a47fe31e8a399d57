// A console and its saved state as a damaged file would hand it over, for tests that change single
// numbers in it.
#pragma once

#include <cstring>
#include <stdexcept>
#include <string>

#include "check.hpp"
#include "emulator/console.hpp"

namespace actormimic {

inline constexpr std::size_t kPicture = 160 * 300;
// Of the last part of a state: two flags, where the next pixel goes, two pictures, five places in
// mask tables, one in the playfield's.
inline constexpr std::size_t kPlaces = 2 + sizeof(std::int64_t) + 2 * kPicture;
inline constexpr std::size_t kPictures = kPlaces + 5 * 8 + sizeof(std::int64_t);
enum Place { kBall, kMissile0, kMissile1, kPlayer0, kPlayer1 };

// The numbers of ALE's TIA in the order in which it saves them, as far as the tests name them.
enum TiaNumber {
  kFrameStart,
  kDisplayStart,
  kDisplayStop,
  kBeam,
  kClocksToEnd,
  kMotionP0 = 30,
  kPositionP0 = 41,
  kMotionClock = 48,
  kMotionBlank = 49,
};
enum RiotNumber { kTimer = 129, kShift, kSetCycle, kReadCycle };
// Of the frame counters and paddles.
enum Counter {
  kLeftPaddle,
  kRightPaddle,
  kFrame,
  kEpisodeFrame,
  kMode,
  kDifficulty,
  kTextLength,
  kLowestPaddle,
  kHighestPaddle
};

class State {
 public:
  explicit State(const Console& console) {
    StateWriter out;
    console.save(out);
    bytes_ = out.take();
  }

  // Empty if the console takes the state, else the problem.
  std::string load_into(Console& console) const {
    StateReader in(bytes_.data(), bytes_.size());
    try {
      console.load(in);
    } catch (const std::invalid_argument& problem) {
      return problem.what();
    }
    return "";
  }

  std::int32_t tia(int number) const { return get<std::int32_t>(number_at("TIA", number)); }
  State with_tia(int number, std::int32_t value) const {
    return with(number_at("TIA", number), value);
  }
  State with_number(const std::string& device, int number, std::int32_t value) const {
    return with(number_at(device, number), value);
  }
  State with_ram(unsigned address, std::uint8_t value) const {
    return with_riot(1 + static_cast<int>(address) - 0x80, value);
  }
  State with_riot(int number, std::int32_t value) const {
    return with_number("M6532", number, value);
  }
  // The name by which ALE finds a device's numbers.
  State without_name(const std::string& device) const {
    return with(number_at(device, 0) - 1, '?');
  }
  State with_mask(Place place, std::int32_t disabled, std::int32_t offset) const {
    const std::size_t at = pictures() + kPlaces + 8 * static_cast<std::size_t>(place);
    return with(at, disabled).with(at + 4, offset);
  }
  State with_playfield(std::int64_t offset) const { return with(bytes_.size() - 8, offset); }
  State with_flag(std::uint8_t unfinished) const { return with(pictures(), unfinished); }
  State with_pixel(std::int64_t next) const { return with(pictures() + 2, next); }
  // What ALE saves of the machine, and its counters: strings, each behind its length.
  std::string machine() const { return string_at(machine_at()); }
  State with_machine(const std::string& machine) const {
    return with_string(machine_at(), machine);
  }
  State with_counters(const std::string& counters) const {
    return with_string(end_of_string(machine_at()), counters);
  }
  State with_counter(Counter counter, std::int32_t value) const {
    return with(end_of_string(machine_at()) + kLength + 4 * counter, value);
  }
  State with_music_clock(double clock) const { return with(pictures() - sizeof clock, clock); }
  // Of `rules` numbers that the game's rules have besides what ALE saves of them.
  State with_rule(std::size_t rules, std::size_t number, std::int32_t value) const {
    return with(pictures() - 4 * (rules - number), value);
  }
  bool operator==(const State& other) const { return bytes_ == other.bytes_; }
  // The beam stands before the first line of a frame that has not ended, and HMOVE has blackened
  // the line's left.
  State unfinished() const {
    constexpr std::int32_t kTrue = 0xfab1fab2;
    return with_flag(1)
        .with_pixel(0)
        .with_tia(kBeam, tia(kDisplayStart))
        .with_tia(kClocksToEnd, 228)
        .with_tia(kMotionBlank, kTrue);
  }

 private:
  static constexpr std::size_t kLength = sizeof(std::uint64_t);
  std::size_t machine_at() const { return end_of_string(0); }  // behind the cartridge's MD5
  std::size_t end_of_string(std::size_t at) const { return at + kLength + get<std::uint64_t>(at); }
  std::string string_at(std::size_t at) const {
    return bytes_.substr(at + kLength, get<std::uint64_t>(at));
  }
  State with_string(std::size_t at, const std::string& text) const {
    State changed = with<std::uint64_t>(at, text.size());
    changed.bytes_.replace(at + kLength, get<std::uint64_t>(at), text);
    return changed;
  }
  std::size_t pictures() const { return bytes_.size() - kPictures; }
  // Behind a device's name ALE writes numbers of four bytes.
  std::size_t number_at(const std::string& device, int number) const {
    const std::string name = std::string{static_cast<char>(device.size()), 0, 0, 0} + device;
    const std::size_t at = bytes_.find(name);
    CHECK(at != std::string::npos);
    return at + name.size() + 4 * static_cast<std::size_t>(number);
  }
  template <typename T>
  T get(std::size_t at) const {
    T value;
    std::memcpy(&value, bytes_.data() + at, sizeof value);
    return value;
  }
  template <typename T>
  State with(std::size_t at, T value) const {
    State changed = *this;
    std::memcpy(changed.bytes_.data() + at, &value, sizeof value);
    return changed;
  }

  std::string bytes_;
};

inline GameChoice choice_of(const std::string& game, int mode = -1, int difficulty = -1) {
  return {game, std::string(ACTORMIMIC_TEST_ROMS) + "/" + game + ".bin", mode, difficulty};
}

struct Played {
  explicit Played(Emulation emulation, const std::string& game = "pong", int mode = -1,
                  int difficulty = -1)
      : console(choice_of(game, mode, difficulty), 0.0f, emulation) {
    console.power_on(3);
    console.reset();
    play(40);
  }
  void play(int frames) {
    for (int frame = 0; frame < frames; ++frame) console.act(frame % 6, 1.0f);
  }
  // Whether the console refuses the state so; it goes on from a sound one afterwards.
  bool refuses(const State& state, const std::string& problem) {
    const State sound(console);
    const bool refused = state.load_into(console) == "the saved state is damaged: " + problem;
    CHECK(sound.load_into(console).empty());
    play(1);
    return refused;
  }
  // Whether it takes the state, and plays on from it.
  bool takes(const State& state) {
    const State sound(console);
    const bool taken = state.load_into(console).empty();
    if (taken) play(3);
    CHECK(sound.load_into(console).empty());
    return taken;
  }

  Console console;
};

}  // namespace actormimic
