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
  Rare,  // left to the plain interpreter
  Seam,  // ends at or beyond the end of its page: the next page may belong to another bank
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
  // `image` is the ROM, which must not change; it is only looked at here.
  Program(const std::uint8_t* image, std::size_t size);

  const Decoded* begin() const { return code_.data(); }
  std::uint8_t byte(std::size_t offset) const { return image_[offset]; }
  // How to execute the instruction at `offset` where the page behind it turns out to follow.
  Handler beyond_seam(std::size_t offset) const;
  // The place in the ROM that `page` shows at its first address; size() or more: none.
  std::size_t offset_of(const Bus::Page& page) const {
    return reinterpret_cast<std::uintptr_t>(page.directPeekBase) -
           reinterpret_cast<std::uintptr_t>(image_);
  }
  std::size_t size() const { return code_.size(); }

 private:
  Decoded decode(std::size_t offset) const;

  const std::uint8_t* image_;
  std::vector<Decoded> code_;
};

}  // namespace actormimic::vcs
