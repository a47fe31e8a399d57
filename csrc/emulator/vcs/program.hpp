// A cartridge's ROM, decoded once: for every byte what to do when an instruction begins there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "emulator/vcs/bus.hpp"
#include "emulator/vcs/instruction_set.hpp"

namespace actormimic::vcs {

// What the loop over a decoded program does at an address. The name of an instruction is its
// mnemonic and its addressing mode.
enum class Handler : std::uint16_t {
  Rare,           // left to the plain interpreter
  Seam,           // ends where the ROM may go on elsewhere than the program
  PollTimer,      // LDA, LDX or LDY INTIM and a BNE back to it
  PollTimerSign,  // LDA, LDX, LDY or BIT INTIM and a BPL back to it
  PollTimerHigh,  // the same and a BMI
  PollTimerFlag,  // the same with TIMINT and a BPL
#define V(opcode, mnemonic, mode, cycles) mnemonic##_##mode,
  ACTORMIMIC_6502_DOCUMENTED(V) ACTORMIMIC_6502_BY_OPERAND(V)
#undef V
};

struct Decoded {
  Handler handler;
  std::uint16_t operand;  // one or two bytes; of a branch the distance to its target, signed
};

// A cartridge whose ROM can be decoded: one that stays what it is from power-on.
struct RomLayout {
  const char* cartridge;  // ALE's name
  std::size_t slice;      // so many bytes are mapped in one piece
  // Accesses to these places of the last page switch banks; none if the first lies behind the last.
  std::uint16_t first_hotspot, last_hotspot;
  // Addresses from the cartridge's first up to here belong to a chip of its own.
  std::uint16_t chip_end;
  bool bank_by_address;  // address line 13 chooses the bank, and no page is ever memory to ALE
};

class Program {
 public:
  // The ROM must outlive the program and must not change. Programs of equal ROMs share what was
  // decoded, in whichever thread.
  Program(const std::uint8_t* rom, std::size_t size, const RomLayout& layout);

  const Decoded* begin() const { return code_->data(); }
  // How to execute the instruction at `offset` whatever its place.
  Handler handler_at(std::size_t offset) const;
  // The place in the ROM that `page` shows at its first address; size() or more: none.
  std::size_t offset_of(const Bus::Page& page) const {
    return reinterpret_cast<std::uintptr_t>(page.directPeekBase) -
           reinterpret_cast<std::uintptr_t>(rom_);
  }
  std::size_t size() const { return size_; }

  // The same for an address in a page that ALE asks the cartridge for, although only some places in
  // it do more than show the ROM; instructions that touch those are Rare.
  std::size_t hidden_offset(const Bus& bus, std::uint16_t address) const;
  // The byte at such an address, null if reading it does more.
  const std::uint8_t* hidden_byte(const Bus& bus, std::uint16_t address) const;
  // Whether `address` is a chip's in the cartridge, which can be asked without switching banks.
  bool is_chip(std::uint16_t address) const { return (address & 0xfff) < layout_.chip_end; }

 private:
  std::vector<Decoded> decode() const;
  Decoded decode(std::size_t offset) const;
  Handler poll_at(std::size_t offset, std::uint16_t operand) const;
  std::size_t end_of_slice(std::size_t offset) const {
    return (offset / layout_.slice + 1) * layout_.slice;
  }
  bool is_hotspot(std::size_t offset) const;

  const std::uint8_t* rom_;
  std::size_t size_;
  RomLayout layout_;
  std::shared_ptr<const std::vector<Decoded>> code_;
};

}  // namespace actormimic::vcs
