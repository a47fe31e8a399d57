#include "emulator/vcs/riot.hpp"

#include <algorithm>
#include <iterator>

#include "common/check.hpp"

namespace actormimic::vcs {

void Riot::require_possible() const {
  require(std::find(std::begin(kShifts), std::end(kShifts), shift()) != std::end(kShifts),
          "the saved state is damaged: timer shift ", shift());
  const std::uint32_t timer = chip_.*reveal(Timer{});
  require(timer <= 0xff, "the saved state is damaged: timer ", timer);
}

// Past zero the timer counts single cycles, by ALE's account once it has been read.
std::uint8_t Riot::expired(std::uint32_t cycle) {
  const auto timer = static_cast<int>(chip_.*reveal(Timer{}));
  const auto since = static_cast<int>(since_set(cycle));
  const int after_zero = (timer << shift()) - since - 1;
  bool& read = chip_.*reveal(ReadAfterInterrupt{});
  int& reset_cycle = chip_.*reveal(InterruptResetCycle{});
  if (after_zero <= -2 && !read) {
    read = true;
    reset_cycle = static_cast<int>(cycle);
  }
  if (!read) return static_cast<std::uint8_t>(after_zero);
  const int offset = reset_cycle - (set_cycle() + (timer << shift()));
  return static_cast<std::uint8_t>(timer - (since_set(cycle) >> shift()) - offset);
}

void Riot::set(std::uint8_t value, std::uint32_t shift, std::uint32_t cycle) {
  chip_.*reveal(Timer{}) = value;
  chip_.*reveal(TimerShift{}) = shift;
  chip_.*reveal(TimerSetCycle{}) = static_cast<int>(cycle);
  chip_.*reveal(ReadAfterInterrupt{}) = false;
}

}  // namespace actormimic::vcs
