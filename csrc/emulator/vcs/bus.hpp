// The address space of the console: which chip answers where, and what it says.
#pragma once

#include <cstdint>

#include "ale/emucore/System.hxx"
#include "ale/emucore/TIA.hxx"

namespace actormimic::vcs {

// Reads and writes through ALE's page table, so that every cartridge's banks are where ALE put
// them. Pages of memory are read and written directly by the caller; peek() and poke() ask the
// chips.
class Bus {
 public:
  using Page = ale::stella::System::PageAccess;
  static constexpr std::uint16_t kAddressMask = 0x1fff;  // the 6507 has 13 address lines
  static constexpr std::uint16_t kPageMask = 0x3f;
  static constexpr int kPageShift = 6;

  explicit Bus(ale::stella::System& system, const std::uint8_t& execution_status);

  // Whether TIA, RAM and RIOT answer where the bare console has them; some cartridges listen there.
  static bool is_plain(ale::stella::System& system);

  const Page& page(std::uint16_t address) const {
    return pages_[(address & kAddressMask) >> kPageShift];
  }
  // The RIOT's 128 bytes of RAM, at $80 of the zero page and of the stack.
  std::uint8_t* ram() const { return page(0x80).directPeekBase; }

  // What the chip at `address` answers at `cycle` with `data` still on the bus.
  std::uint8_t peek(std::uint16_t address, std::uint32_t cycle, std::uint8_t data);
  // Gives the cycle at which the processor goes on, which WSYNC moves.
  std::uint32_t poke(std::uint16_t address, std::uint8_t value, std::uint32_t cycle);
  // Whether a poke ended the frame.
  bool stopped() const { return execution_status_ != 0; }

  // Hands the time to ALE's System, where its devices look for it; leave_data() the byte on the
  // bus.
  void tell_system(std::uint32_t cycle) { system_.incrementCycles(cycle - system_.cycles()); }
  void leave_data(std::uint8_t data);
  std::uint8_t data() const;

 private:
  ale::stella::System& system_;
  const Page* pages_;
  const std::uint8_t& execution_status_;
};

}  // namespace actormimic::vcs
