// The address space of the console: which chip answers where, and what it says.
#pragma once

#include <cstdint>

#include "ale/emucore/System.hxx"
#include "emulator/vcs/riot.hpp"
#include "emulator/vcs/tia.hpp"

namespace actormimic::vcs {

// Reads and writes through ALE's page table, so that every cartridge's banks are where ALE put
// them. Pages of memory are read and written in place by the caller; peek() and poke() ask the
// chips.
class Bus {
 public:
  using Page = ale::stella::System::PageAccess;
  static constexpr std::uint16_t kAddressMask = 0x1fff;  // the 6507 has 13 address lines
  static constexpr std::uint16_t kPageMask = 0x3f;
  static constexpr int kPageShift = 6;

  // Whether TIA, RAM and RIOT answer where the bare console has them; some cartridges listen there.
  static bool is_plain(ale::stella::System& system);

  explicit Bus(ale::stella::System& system);

  // ALE's TIA lends its state to ours in between.
  void begin() { tia_.borrow(system_.tia()); }
  void end(std::uint32_t cycle) {
    tell_system(cycle);
    tia_.give_back();
  }

  const Page& page(unsigned address) const {
    return pages_[(address & kAddressMask) >> kPageShift];
  }
  // The RIOT's 128 bytes of RAM, at $80 of the zero page and of the stack.
  std::uint8_t* ram() const { return page(0x80).directPeekBase; }
  const Riot& riot() const { return riot_; }

  // What the chip at `address` answers at `cycle` with `data` still on the bus.
  std::uint8_t peek(std::uint16_t address, std::uint32_t cycle, std::uint8_t data) {
    if (is_tia(address)) return tia_.peek(address, cycle, data);
    if (is_riot(address)) return riot_.peek(address, cycle);
    return peek_cartridge(address, cycle, data);
  }
  // Gives the cycle at which the processor goes on, which WSYNC moves.
  std::uint32_t poke(std::uint16_t address, std::uint8_t value, std::uint32_t cycle) {
    if (is_tia(address)) {
      tia_.poke(address, value, cycle);
    } else if (is_riot(address)) {
      riot_.poke(address, value, cycle);
    } else {
      poke_cartridge(address, value, cycle);
    }
    return cycle;
  }
  // Whether a poke ended the frame.
  bool stopped() const { return tia_.stopped(); }

  // The last byte on the bus, kept where ALE's System has it.
  std::uint8_t data() const;
  void leave_data(std::uint8_t data);

 private:
  static bool is_tia(std::uint16_t address) { return (address & 0x1080) == 0x0000; }
  static bool is_riot(std::uint16_t address) { return (address & 0x1080) == 0x0080; }

  void tell_system(std::uint32_t cycle) { system_.incrementCycles(cycle - system_.cycles()); }
  std::uint8_t peek_cartridge(std::uint16_t address, std::uint32_t cycle, std::uint8_t data);
  void poke_cartridge(std::uint16_t address, std::uint8_t value, std::uint32_t cycle);

  ale::stella::System& system_;
  const Page* pages_;
  Riot riot_;
  Tia tia_;
};

}  // namespace actormimic::vcs
