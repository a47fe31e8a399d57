// The processor as the loop over a decoded program has it: the registers, and where it stands.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "emulator/vcs/bus.hpp"
#include "emulator/vcs/instruction_set.hpp"
#include "emulator/vcs/instructions.hpp"
#include "emulator/vcs/program.hpp"

namespace actormimic::vcs {

// A local variable of the loop, whose address goes nowhere, so that each member can live in a
// register of the machine.
struct DecodedProcessor : Instructions {
  DecodedProcessor(const Registers& registers, Bus& bus, const Program& program)
      : pages(&bus.page(0)), ram(bus.ram()), code(program.begin()), next(program.begin()) {
    copy(registers, *this);
  }
  void give_back(Registers& registers) const { copy(*this, registers); }

  const Bus::Page* pages;
  std::uint8_t* ram;
  const Decoded* code;
  const Decoded* next;           // the instruction to execute
  std::uint16_t code_begin = 0;  // the address at which the whole program would begin

  // One by one, for a copy of the whole would keep them all in memory.
  static void copy(const Registers& from, Registers& to) {
    to.a = from.a;
    to.x = from.x;
    to.y = from.y;
    to.sp = from.sp;
    to.opcode = from.opcode;
    to.nz = from.nz;
    to.carry = from.carry;
    to.overflow = from.overflow;
    to.decimal = from.decimal;
    to.interrupt_disable = from.interrupt_disable;
    to.break_flag = from.break_flag;
    to.ticks = from.ticks;
  }

  const Bus::Page& page(unsigned address) const {
    return pages[(address & Bus::kAddressMask) >> Bus::kPageShift];
  }
  // The memory at an address, null where a chip answers. The zero page needs no table.
  template <Mode kMode = Mode::Absolute>
  const std::uint8_t* readable(unsigned address) const {
    if constexpr (is_zero_page(kMode)) return zero_page(address);
    std::uint8_t* const base = page(address).directPeekBase;
    return base == nullptr ? nullptr : base + (address & Bus::kPageMask);
  }
  // The same where a cartridge is asked that answers with its ROM and does nothing else.
  const std::uint8_t* shown(const Program& program, const Bus& bus, unsigned address) const {
    const std::uint8_t* const byte = readable(address);
    return byte != nullptr ? byte : program.hidden_byte(bus, static_cast<std::uint16_t>(address));
  }
  template <Mode kMode>
  std::uint8_t* writable(unsigned address) const {
    if constexpr (is_zero_page(kMode)) return zero_page(address);
    std::uint8_t* const base = page(address).directPokeBase;
    return base == nullptr ? nullptr : base + (address & Bus::kPageMask);
  }
  static constexpr bool is_zero_page(Mode mode) {
    return mode == Mode::Zero || mode == Mode::ZeroX || mode == Mode::ZeroY;
  }
  std::uint8_t* zero_page(unsigned address) const {
    return address < 0x80 ? nullptr : ram + address - 0x80;
  }

  std::uint16_t next_pc() const { return static_cast<std::uint16_t>(code_begin + (next - code)); }
  // Goes on at `target`; false if the program does not show there.
  bool jump(const Program& program, std::uint16_t target) {
    const std::size_t offset = program.offset_of(page(target));
    return go(program, offset < program.size() ? offset + (target & Bus::kPageMask) : offset,
              target);
  }
  bool go(const Program& program, std::size_t offset, std::uint16_t target) {
    if (offset >= program.size()) return false;
    next = code + offset;
    code_begin = static_cast<std::uint16_t>(target - offset);
    return true;
  }
  // Whether the page behind this one shows what follows in the ROM.
  bool seam_holds(const Program& program) const {
    const std::uint16_t here = next_pc();
    constexpr unsigned kPageBytes = Bus::kPageMask + 1;
    return program.offset_of(page(here)) + kPageBytes == program.offset_of(page(here + kPageBytes));
  }
  // Goes on to the last round of a polling loop whose read comes no later than `left` cycles after
  // this round's, the loop being 7 cycles and 2 instructions.
  void skip_rounds(std::int64_t left, std::uint32_t limit) {
    if (left < 7) return;
    const std::uint32_t rounds =
        std::min(static_cast<std::uint32_t>(left) / 7, (limit - std::min(executed(), limit)) / 2);
    ticks += rounds * (7 * kCycle + 2);
  }

  template <Mode kMode>
  void begin(unsigned cycles) {
    ticks += cycles * kCycle + 1;
    next += length(kMode);
  }

  // Where the zero page holds a pointer. Only one that lies in RAM as a whole is followed here.
  template <Mode kMode>
  std::uint8_t pointer_place() const {
    return static_cast<std::uint8_t>(next->operand + (kMode == Mode::IndirectX ? x : 0));
  }
  template <Mode kMode>
  bool pointer_in_ram() const {
    if constexpr (kMode == Mode::IndirectX || kMode == Mode::IndirectY)
      return static_cast<std::uint8_t>(pointer_place<kMode>() - 0x80) < 0x7f;
    return true;
  }
  template <Mode kMode>
  unsigned base() const {
    if constexpr (kMode == Mode::IndirectX || kMode == Mode::IndirectY) {
      const std::uint8_t* pointer = ram + pointer_place<kMode>() - 0x80;
      return static_cast<unsigned>(pointer[1] << 8 | pointer[0]);
    }
    return next->operand;
  }
  // The address that the instruction at `next` is about; `base` is what base() gives.
  template <Mode kMode>
  unsigned address(unsigned base) const {
    if constexpr (kMode == Mode::ZeroX) return (base + x) & 0xff;
    if constexpr (kMode == Mode::ZeroY) return (base + y) & 0xff;
    if constexpr (kMode == Mode::AbsoluteX) return (base + x) & 0xffff;
    if constexpr (kMode == Mode::AbsoluteY || kMode == Mode::IndirectY) return (base + y) & 0xffff;
    return base;
  }
  // The cycle for a carry into the high byte, which reads alone can do without.
  template <Mode kMode>
  void pass_carry(unsigned base, unsigned address) {
    if constexpr (kMode == Mode::AbsoluteX || kMode == Mode::AbsoluteY || kMode == Mode::IndirectY)
      if (((base ^ address) & 0xff00) != 0) ticks += kCycle;
  }
  // What lies on the data bus when the instruction comes to read its operand.
  template <Mode kMode>
  static std::uint8_t on_bus(unsigned base) {
    const bool one_byte =
        length(kMode) == 2 && kMode != Mode::IndirectX && kMode != Mode::IndirectY;
    return static_cast<std::uint8_t>(one_byte ? base : base >> 8);
  }
};

}  // namespace actormimic::vcs
