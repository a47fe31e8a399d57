// The RIOT's timer, in the place of ALE's own in which it lies. Its RAM is read through the bus's
// pages, its ports by way of ALE's controllers and switches.
//
// The time at which the timer was set moves back by each frame that ends without setting it, and
// in a long game past what an integer holds. So times are subtracted as ALE's do it, unsigned.
#pragma once

#include <cstdint>

#include "ale/emucore/M6532.hxx"

namespace actormimic::vcs {

class Riot {
 public:
  explicit Riot(ale::stella::M6532& chip);

  std::uint8_t peek(std::uint16_t address, std::uint32_t cycle) {
    if ((address & 0x04) == 0) return chip_.peek(address);
    const int timer = ticks_left(cycle);
    if ((address & 0x01) != 0) return timer >= 0 || read_after_interrupt_ ? 0x00 : 0x80;
    return timer >= 0 ? static_cast<std::uint8_t>(timer) : expired(cycle);
  }

  void poke(std::uint16_t address, std::uint8_t value, std::uint32_t cycle) {
    if ((address & 0x14) == 0x14) {
      set(value, kShifts[address & 0x03], cycle);
    } else {
      chip_.poke(address, value);
    }
  }

  // Throws std::invalid_argument for what a damaged saved state may hold and no program can set.
  void require_possible() const;

  // For polling loops: for how many cycles from `cycle` on so many ticks are left, less than 0 if
  // they are not; INTIM reads them, TIMINT nothing yet, and no read changes anything.
  std::int64_t cycles_with(int ticks, std::uint32_t cycle) const {
    return (static_cast<std::int64_t>(timer_) - ticks) * (1 << shift_) -
           std::int64_t{cycle - static_cast<std::uint32_t>(set_cycle_)};
  }
  // Less than 0 from the end on.
  int ticks_left(std::uint32_t cycle) const {
    return static_cast<int>(timer_ - (since_set(cycle) >> shift_) - 1);
  }

 private:
  static constexpr std::uint32_t kShifts[] = {0, 3, 6, 10};  // cycles per tick: 1, 8, 64, 1024

  std::uint32_t since_set(std::uint32_t cycle) const {
    return cycle - 1 - static_cast<std::uint32_t>(set_cycle_);
  }
  std::uint8_t expired(std::uint32_t cycle);
  void set(std::uint8_t value, std::uint32_t shift, std::uint32_t cycle);

  ale::stella::M6532& chip_;
  // Of `chip_`.
  std::uint32_t& timer_;
  std::uint32_t& shift_;
  int& set_cycle_;
  int& read_cycle_;  // of the first read after the timer's end
  bool& read_after_interrupt_;
};

}  // namespace actormimic::vcs
