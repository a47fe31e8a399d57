// The RIOT's timer, in the place of ALE's own in which it lies. Its RAM is read through the bus's
// pages, its ports by way of ALE's controllers and switches.
#pragma once

#include <cstdint>

#include "ale/emucore/M6532.hxx"
#include "emulator/vcs/ale_private.hpp"

namespace actormimic::vcs {

class Riot {
 public:
  explicit Riot(ale::stella::M6532& chip) : chip_(chip) {}

  std::uint8_t peek(std::uint16_t address, std::uint32_t cycle) {
    if ((address & 0x04) == 0) return chip_.peek(address);
    const int timer = ticks_left(cycle);
    if ((address & 0x01) != 0)
      return timer >= 0 || chip_.*reveal(ReadAfterInterrupt{}) ? 0x00 : 0x80;
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

  // For polling loops: the last cycle at which so many ticks are left; INTIM reads them, TIMINT
  // nothing yet, and no read changes anything.
  std::int32_t last_cycle_with(int ticks) const {
    return set_cycle() +
           (static_cast<std::int32_t>(chip_.*reveal(Timer{})) - ticks) * (1 << shift());
  }
  // Less than 0 from the end on.
  int ticks_left(std::uint32_t cycle) const {
    return static_cast<int>(chip_.*reveal(Timer{})) -
           static_cast<int>(since_set(cycle) >> shift()) - 1;
  }

 private:
  static constexpr std::uint32_t kShifts[] = {0, 3, 6, 10};  // cycles per tick: 1, 8, 64, 1024

  int set_cycle() const { return chip_.*reveal(TimerSetCycle{}); }
  std::uint32_t shift() const { return chip_.*reveal(TimerShift{}); }
  std::uint32_t since_set(std::uint32_t cycle) const {
    return cycle - 1 - static_cast<std::uint32_t>(set_cycle());
  }
  std::uint8_t expired(std::uint32_t cycle);
  void set(std::uint8_t value, std::uint32_t shift, std::uint32_t cycle);

  ale::stella::M6532& chip_;
};

}  // namespace actormimic::vcs
