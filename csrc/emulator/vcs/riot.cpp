#include "emulator/vcs/riot.hpp"

#include <algorithm>
#include <iterator>

#include "common/check.hpp"
#include "emulator/ale_private.hpp"

namespace actormimic::vcs {

ACTORMIMIC_REVEAL(Timer, stella::M6532, myTimer, std::uint32_t)
ACTORMIMIC_REVEAL(TimerShift, stella::M6532, myIntervalShift, std::uint32_t)
ACTORMIMIC_REVEAL(TimerSetCycle, stella::M6532, myCyclesWhenTimerSet, int)
ACTORMIMIC_REVEAL(InterruptResetCycle, stella::M6532, myCyclesWhenInterruptReset, int)
ACTORMIMIC_REVEAL(ReadAfterInterrupt, stella::M6532, myTimerReadAfterInterrupt, bool)

Riot::Riot(ale::stella::M6532& chip)
    : chip_(chip),
      timer_(chip.*reveal(Timer{})),
      shift_(chip.*reveal(TimerShift{})),
      set_cycle_(chip.*reveal(TimerSetCycle{})),
      read_cycle_(chip.*reveal(InterruptResetCycle{})),
      read_after_interrupt_(chip.*reveal(ReadAfterInterrupt{})) {}

void Riot::require_possible() const {
  require(std::find(std::begin(kShifts), std::end(kShifts), shift_) != std::end(kShifts),
          "the saved state is damaged: timer shift ", shift_);
  require(timer_ <= 0xff, "the saved state is damaged: timer ", timer_);
}

// Past zero the timer counts single cycles, by ALE's account once it has been read.
std::uint8_t Riot::expired(std::uint32_t cycle) {
  const std::uint32_t since = since_set(cycle), whole = timer_ << shift_;
  const auto after_zero = static_cast<int>(whole - since - 1);
  if (after_zero <= -2 && !read_after_interrupt_) {
    read_after_interrupt_ = true;
    read_cycle_ = static_cast<int>(cycle);
  }
  if (!read_after_interrupt_) return static_cast<std::uint8_t>(after_zero);
  const std::uint32_t end = static_cast<std::uint32_t>(set_cycle_) + whole;
  const std::uint32_t offset = static_cast<std::uint32_t>(read_cycle_) - end;
  return static_cast<std::uint8_t>(timer_ - (since >> shift_) - offset);
}

void Riot::set(std::uint8_t value, std::uint32_t shift, std::uint32_t cycle) {
  timer_ = value;
  shift_ = shift;
  set_cycle_ = static_cast<int>(cycle);
  read_after_interrupt_ = false;
}

}  // namespace actormimic::vcs
