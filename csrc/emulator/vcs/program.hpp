// A cartridge's ROM, decoded once: for every byte what to do when an instruction begins there.
#pragma once

#include <cstddef>
#include <cstdint>
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
  PollTimerFlag,  // the same with TIMINT
#define V(opcode, mnemonic, mode, cycles) mnemonic##_##mode,
  ACTORMIMIC_6502_DOCUMENTED(V) ACTORMIMIC_6502_BY_OPERAND(V)
#undef V
};

struct Decoded {
  Handler handler;
  std::uint16_t operand;  // one or two bytes; of a branch the distance to its target, signed
};

class Program {
 public:
  // `image` is the ROM, which must not change. It is mapped in slices of `slice` bytes, whose last
  // page may be another chip's.
  Program(const std::uint8_t* image, std::size_t size, std::size_t slice);

  const Decoded* begin() const { return code_.data(); }
  // How to execute the instruction at `offset` whatever its place.
  Handler handler_at(std::size_t offset) const;
  // The place in the ROM that `page` shows at its first address; size() or more: none.
  std::size_t offset_of(const Bus::Page& page) const {
    return reinterpret_cast<std::uintptr_t>(page.directPeekBase) -
           reinterpret_cast<std::uintptr_t>(image_);
  }
  std::size_t size() const { return code_.size(); }

 private:
  Decoded decode(std::size_t offset) const;
  Handler poll_at(std::size_t offset, std::uint16_t operand) const;
  // The ROM from `offset` to here is one piece wherever it is mapped.
  std::size_t end_of_piece(std::size_t offset) const;

  const std::uint8_t* image_;
  std::size_t size_;
  std::size_t slice_;
  std::vector<Decoded> code_;
};

}  // namespace actormimic::vcs
