// The 6507's addressing modes and instructions, as ALE's M6502Low has them.
//
// Its two shortcuts are kept, because games can tell: only the accesses that an instruction needs
// happen, and all of its cycles have passed before the first of them. So are its answers where the
// chip's are unsure, and the order of its reads, which decides what is left on the data bus when
// the TIA drives but two of its lines.
#pragma once

#include <cstdint>

#include "emulator/vcs/bus.hpp"
#include "emulator/vcs/instruction_set.hpp"
#include "emulator/vcs/program.hpp"
#include "emulator/vcs/registers.hpp"

namespace actormimic::vcs {

// With a program, operands come decoded and jumps lead from place to place in it; without one
// (null) every byte is read through the bus. A loop owns a core as a local variable, so that its
// registers are the machine's.
template <bool kDecoded>
class Core : public Registers {
 public:
  // At most `limit` instructions may have been executed when a jump lets the loop go on.
  Core(const Registers& registers, Bus& bus, const Program* program, std::uint32_t limit)
      : Registers(registers),
        bus_(bus),
        pages_(&bus.page(0)),
        ram_(bus.ram()),
        program_(program),
        limit_(limit) {
    if constexpr (kDecoded) next = program->begin();
  }

  // Whether the loop has to look where it stands before the next instruction: the frame may have
  // ended, the cartridge may have switched banks, or the program has gone where nothing is decoded.
  bool leave = false;

  // The instruction to execute next. Only with a program.
  const Decoded* next = nullptr;
  // Goes to `address`; false, with `pc` there, if the program does not show at that address.
  ACTORMIMIC_INLINE bool enter(std::uint16_t address) {
    const Bus::Page& page = page_of(address);
    const std::size_t offset = program_->offset_of(page);
    if (offset >= program_->size()) {
      leave_for(address);
      return false;
    }
    next = program_->begin() + offset + (address & Bus::kPageMask);
    pc_of_begin_ = static_cast<std::uint16_t>(address - (next - program_->begin()));
    return true;
  }
  // Whether the page behind the one that `next` lies in shows what follows in the ROM.
  bool seam_holds() const {
    const std::uint16_t here = next_pc();
    return page_of(here).directPeekBase + Bus::kPageMask + 1 ==
           page_of(static_cast<std::uint16_t>(here + Bus::kPageMask + 1)).directPeekBase;
  }
  std::size_t next_offset() const { return static_cast<std::size_t>(next - program_->begin()); }
  std::uint16_t next_pc() const {
    if constexpr (!kDecoded) return pc;
    return static_cast<std::uint16_t>(pc_of_begin_ + (next - program_->begin()));
  }

  // Takes up the instruction at `next`, or the one whose opcode has just been fetched.
  template <Mode kMode>
  ACTORMIMIC_INLINE void begin(unsigned cycles) {
    ticks += cycles * kCycle + 1;
    if constexpr (kDecoded) {
      operand_ = next->operand;
      next += length(kMode);
      leave = false;
    }
  }
  std::uint8_t fetch() { return read(pc++); }
  std::uint8_t data() const { return data_; }

#define INSTRUCTION(name) \
  template <Mode kMode>   \
  ACTORMIMIC_INLINE void name()

  INSTRUCTION(LDA) { set_nz(a = load<kMode>()); }
  INSTRUCTION(LDX) { set_nz(x = load<kMode>()); }
  INSTRUCTION(LDY) { set_nz(y = load<kMode>()); }
  INSTRUCTION(STA) { store<kMode>(a); }
  INSTRUCTION(STX) { store<kMode>(x); }
  INSTRUCTION(STY) { store<kMode>(y); }
  INSTRUCTION(TAX) { set_nz(x = a); }
  INSTRUCTION(TAY) { set_nz(y = a); }
  INSTRUCTION(TXA) { set_nz(a = x); }
  INSTRUCTION(TYA) { set_nz(a = y); }
  INSTRUCTION(TSX) { set_nz(x = sp); }
  INSTRUCTION(TXS) { sp = x; }

  INSTRUCTION(ADC) { add(load<kMode>()); }
  INSTRUCTION(SBC) { subtract(load<kMode>()); }
  INSTRUCTION(AND) { set_nz(a &= load<kMode>()); }
  INSTRUCTION(ORA) { set_nz(a |= load<kMode>()); }
  INSTRUCTION(EOR) { set_nz(a ^= load<kMode>()); }
  INSTRUCTION(CMP) { compare(a, load<kMode>()); }
  INSTRUCTION(CPX) { compare(x, load<kMode>()); }
  INSTRUCTION(CPY) { compare(y, load<kMode>()); }
  INSTRUCTION(BIT) {
    const std::uint8_t operand = load<kMode>();
    nz = (operand & 0x80) << 8 | (a & operand);
    overflow = static_cast<std::uint8_t>(operand << 1);
  }

  INSTRUCTION(INX) { set_nz(++x); }
  INSTRUCTION(INY) { set_nz(++y); }
  INSTRUCTION(DEX) { set_nz(--x); }
  INSTRUCTION(DEY) { set_nz(--y); }
  INSTRUCTION(INC) {
    set_nz(modify<kMode>([](std::uint8_t value) { return static_cast<std::uint8_t>(value + 1); }));
  }
  INSTRUCTION(DEC) {
    set_nz(modify<kMode>([](std::uint8_t value) { return static_cast<std::uint8_t>(value - 1); }));
  }
  INSTRUCTION(ASL) {
    set_nz(modify<kMode>([this](std::uint8_t value) { return shift_left(value); }));
  }
  INSTRUCTION(ROL) {
    set_nz(modify<kMode>([this](std::uint8_t value) { return shift_left(value, carry); }));
  }
  INSTRUCTION(LSR) {
    set_nz(modify<kMode>([this](std::uint8_t value) { return shift_right(value); }));
  }
  INSTRUCTION(ROR) {
    set_nz(modify<kMode>([this](std::uint8_t value) { return shift_right(value, carry); }));
  }

  INSTRUCTION(CLC) { carry = 0; }
  INSTRUCTION(SEC) { carry = 1; }
  INSTRUCTION(CLV) { overflow = 0; }
  INSTRUCTION(CLD) { decimal = false; }
  INSTRUCTION(SED) { decimal = true; }
  INSTRUCTION(CLI) { interrupt_disable = false; }
  INSTRUCTION(SEI) { interrupt_disable = true; }

  INSTRUCTION(BPL) { branch<kMode>(!negative()); }
  INSTRUCTION(BMI) { branch<kMode>(negative()); }
  INSTRUCTION(BVC) { branch<kMode>((overflow & 0x80) == 0); }
  INSTRUCTION(BVS) { branch<kMode>((overflow & 0x80) != 0); }
  INSTRUCTION(BCC) { branch<kMode>(carry == 0); }
  INSTRUCTION(BCS) { branch<kMode>(carry != 0); }
  INSTRUCTION(BNE) { branch<kMode>(!zero()); }
  INSTRUCTION(BEQ) { branch<kMode>(zero()); }

  INSTRUCTION(JMP) {
    std::uint16_t target = word();
    if constexpr (kMode == Mode::Indirect) {
      // The chip does not carry into the high byte of the pointer.
      const std::uint16_t pointer = target;
      const bool wraps = (pointer & 0xff) == 0xff;
      const std::uint8_t low = read(pointer);
      const std::uint8_t high =
          read(static_cast<std::uint16_t>(wraps ? pointer & 0xff00 : pointer + 1));
      target = static_cast<std::uint16_t>(high << 8 | low);
    }
    jump(target);
  }
  INSTRUCTION(JSR) {
    const std::uint8_t low = first_byte();
    peek_stack();
    // The address of the instruction's last byte.
    const std::uint16_t from = kDecoded ? static_cast<std::uint16_t>(next_pc() - 1) : pc;
    push(static_cast<std::uint8_t>(from >> 8));
    push_on(static_cast<std::uint8_t>(from));
    const std::uint8_t high = second_byte();
    jump(static_cast<std::uint16_t>(high << 8 | low));
  }
  INSTRUCTION(RTS) {
    peek_stack();
    const std::uint8_t low = pull();
    const std::uint8_t high = pull();
    const auto from = static_cast<std::uint16_t>(high << 8 | low);
    read(from);
    jump(static_cast<std::uint16_t>(from + 1));
  }
  INSTRUCTION(RTI) {
    peek_stack();
    set_status(pull());
    const std::uint8_t low = pull();
    const std::uint8_t high = pull();
    jump(static_cast<std::uint16_t>(high << 8 | low));
  }
  INSTRUCTION(BRK) {
    read(pc++);
    break_flag = true;
    push(static_cast<std::uint8_t>(pc >> 8));
    push_on(static_cast<std::uint8_t>(pc));
    push_on(status());
    interrupt_disable = true;
    const std::uint8_t low = read(0xfffe);
    const std::uint8_t high = read(0xffff);
    jump(static_cast<std::uint16_t>(high << 8 | low));
  }

  INSTRUCTION(PHA) { push(a); }
  INSTRUCTION(PHP) { push(status()); }
  INSTRUCTION(PLA) {
    peek_stack();
    set_nz(a = pull());
  }
  INSTRUCTION(PLP) {
    peek_stack();
    set_status(pull());
  }

  // The undocumented ones. Those that only touch memory first, then the unstable ones.
  INSTRUCTION(NOP) {
    if constexpr (kMode != Mode::Implied) load<kMode>();
  }
  INSTRUCTION(LAX) { set_nz(a = x = load<kMode>()); }
  INSTRUCTION(SAX) { store<kMode>(a & x); }
  INSTRUCTION(SLO) {
    set_nz(a |= modify<kMode>([this](std::uint8_t value) { return shift_left(value); }));
  }
  INSTRUCTION(RLA) {
    set_nz(a &= modify<kMode>([this](std::uint8_t value) { return shift_left(value, carry); }));
  }
  INSTRUCTION(SRE) {
    set_nz(a ^= modify<kMode>([this](std::uint8_t value) { return shift_right(value); }));
  }
  INSTRUCTION(RRA) {
    add(modify<kMode>([this](std::uint8_t value) { return shift_right(value, carry); }));
  }
  INSTRUCTION(DCP) {
    compare(a,
            modify<kMode>([](std::uint8_t value) { return static_cast<std::uint8_t>(value - 1); }));
  }
  INSTRUCTION(ISB) {
    subtract(
        modify<kMode>([](std::uint8_t value) { return static_cast<std::uint8_t>(value + 1); }));
  }
  INSTRUCTION(ANC) {
    set_nz(a &= load<kMode>());
    carry = a >> 7;
  }
  INSTRUCTION(ASR) {
    a &= load<kMode>();
    set_nz(a = shift_right(a));
  }
  INSTRUCTION(ARR) { and_rotate(load<kMode>()); }
  INSTRUCTION(SBX) {
    const std::uint8_t value = a & x;
    const std::uint8_t operand = load<kMode>();
    compare(value, operand);
    x = static_cast<std::uint8_t>(value - operand);
  }
  INSTRUCTION(ANE) { set_nz(a = (a | 0xee) & x & load<kMode>()); }
  INSTRUCTION(LXA) { set_nz(a = x = (a | 0xee) & load<kMode>()); }
  INSTRUCTION(LAS) { set_nz(a = x = sp &= load<kMode>()); }
  INSTRUCTION(SHA) { store_high<kMode>(a & x); }
  INSTRUCTION(SHX) { store_high<kMode>(x); }
  INSTRUCTION(SHY) { store_high<kMode>(y); }
  INSTRUCTION(SHS) {
    sp = a & x;
    store_high<kMode>(sp);
  }
#undef INSTRUCTION

 private:
  const Bus::Page& page_of(std::uint16_t address) const {
    return pages_[(address & Bus::kAddressMask) >> Bus::kPageShift];
  }

  ACTORMIMIC_INLINE std::uint8_t read(std::uint16_t address) {
    const Bus::Page& page = page_of(address);
    if (page.directPeekBase != nullptr)
      return data_ = page.directPeekBase[address & Bus::kPageMask];
    return ask(address);
  }
  ACTORMIMIC_INLINE void write(std::uint16_t address, std::uint8_t value) {
    data_ = value;
    const Bus::Page& page = page_of(address);
    if (page.directPokeBase != nullptr) {
      page.directPokeBase[address & Bus::kPageMask] = value;
    } else {
      tell(address, value);
    }
  }
  // A chip answers, or is told; a cartridge may switch banks at either.
  ACTORMIMIC_INLINE std::uint8_t ask(std::uint16_t address) {
    data_ = bus_.peek(address, cycle(), data_);
    if ((address & 0x1000) != 0) leave = true;
    return data_;
  }
  ACTORMIMIC_INLINE void tell(std::uint16_t address, std::uint8_t value) {
    data_ = value;
    const std::uint32_t now = cycle();
    pass(bus_.poke(address, value, now) - now);
    if (bus_.stopped() || (address & 0x1000) != 0) leave = true;
  }
  void pass(std::uint32_t cycles) { ticks += cycles * kCycle; }

  // The bytes behind the opcode. A decoded operand has them both; its last one is on the bus.
  ACTORMIMIC_INLINE std::uint8_t first_byte() {
    if constexpr (kDecoded) return data_ = static_cast<std::uint8_t>(operand_);
    return fetch();
  }
  ACTORMIMIC_INLINE std::uint8_t second_byte() {
    if constexpr (kDecoded) return data_ = static_cast<std::uint8_t>(operand_ >> 8);
    return fetch();
  }
  ACTORMIMIC_INLINE std::uint16_t word() {
    if constexpr (kDecoded) {
      data_ = static_cast<std::uint8_t>(operand_ >> 8);
      return operand_;
    }
    const std::uint8_t low = fetch();
    return static_cast<std::uint16_t>(fetch() << 8 | low);
  }
  ACTORMIMIC_INLINE std::uint16_t pointer_at(unsigned address) {
    if (address >= 0x80 && address < 0xff) {
      const std::uint8_t low = ram_[address - 0x80];
      data_ = ram_[address - 0x7f];
      return static_cast<std::uint16_t>(data_ << 8 | low);
    }
    const std::uint8_t low = read(static_cast<std::uint16_t>(address));
    const std::uint8_t high = read(static_cast<std::uint16_t>(address + 1));  // maybe $100
    return static_cast<std::uint16_t>(high << 8 | low);
  }

  // Reads wait a cycle when an index carries into the high byte; writes always take it.
  template <bool kReads>
  ACTORMIMIC_INLINE std::uint16_t indexed(std::uint16_t base, std::uint8_t index) {
    const auto address = static_cast<std::uint16_t>(base + index);
    if (kReads && ((address ^ base) & 0xff00) != 0) pass(1);
    return address;
  }
  template <Mode kMode, bool kReads>
  ACTORMIMIC_INLINE std::uint16_t address() {
    if constexpr (kMode == Mode::Zero) return first_byte();
    if constexpr (kMode == Mode::ZeroX) return static_cast<std::uint8_t>(first_byte() + x);
    if constexpr (kMode == Mode::ZeroY) return static_cast<std::uint8_t>(first_byte() + y);
    if constexpr (kMode == Mode::Absolute) return word();
    if constexpr (kMode == Mode::AbsoluteX) return indexed<kReads>(word(), x);
    if constexpr (kMode == Mode::AbsoluteY) return indexed<kReads>(word(), y);
    if constexpr (kMode == Mode::IndirectX)
      return pointer_at(static_cast<std::uint8_t>(first_byte() + x));
    if constexpr (kMode == Mode::IndirectY) return indexed<kReads>(pointer_at(first_byte()), y);
  }

  template <Mode kMode>
  ACTORMIMIC_INLINE std::uint8_t load() {
    if constexpr (kMode == Mode::Immediate) {
      return first_byte();
    } else if constexpr (kMode == Mode::ZeroRam) {
      return ram_[operand_ - 0x80];
    } else {
      return read(address<kMode, true>());
    }
  }
  template <Mode kMode>
  ACTORMIMIC_INLINE void store(std::uint8_t value) {
    if constexpr (kMode == Mode::ZeroRam) {
      ram_[operand_ - 0x80] = value;
    } else {
      write(address<kMode, false>(), value);
    }
  }
  template <Mode kMode>
  ACTORMIMIC_INLINE void store_high(std::uint8_t value) {
    const std::uint16_t target = address<kMode, false>();
    write(target, static_cast<std::uint8_t>(value & ((target >> 8) + 1)));
  }
  template <Mode kMode, typename Change>
  ACTORMIMIC_INLINE std::uint8_t modify(Change change) {
    if constexpr (kMode == Mode::Accumulator) {
      return a = change(a);
    } else if constexpr (kMode == Mode::ZeroRam) {
      std::uint8_t& cell = ram_[operand_ - 0x80];
      return cell = change(cell);
    } else {
      const std::uint16_t target = address<kMode, false>();
      const std::uint8_t value = change(read(target));
      write(target, value);
      return value;
    }
  }

  // The stack lies in the zero page: its upper half is RAM, the lower half the TIA's registers.
  ACTORMIMIC_INLINE std::uint8_t peek_stack() {
    if (sp >= 0x80) return data_ = ram_[sp - 0x80];
    return ask(static_cast<std::uint16_t>(0x100 + sp));
  }
  ACTORMIMIC_INLINE std::uint8_t pull() {
    ++sp;
    return peek_stack();
  }
  ACTORMIMIC_INLINE void push(std::uint8_t value) {
    if (sp >= 0x80) {
      data_ = ram_[sp - 0x80] = value;
    } else {
      tell(static_cast<std::uint16_t>(0x100 + sp), value);
    }
    --sp;
  }
  // A push right behind another: the processor halts for WSYNC at reads alone.
  ACTORMIMIC_INLINE void push_on(std::uint8_t value) {
    const std::uint64_t now = ticks;
    push(value);
    ticks = now;
  }

  template <Mode kMode>
  ACTORMIMIC_INLINE void branch(bool taken) {
    if constexpr (kMode == Mode::Near) {
      if (!taken) return;
      next += static_cast<std::int16_t>(operand_);
      pass(1);
      if (executed() > limit_) leave = true;
    } else {
      const int distance =
          kDecoded ? static_cast<std::int16_t>(operand_) : static_cast<std::int8_t>(first_byte());
      if (!taken) return;
      const std::uint16_t from = next_pc();
      const auto to = static_cast<std::uint16_t>(from + distance);
      pass(((from ^ to) & 0xff00) != 0 ? 2 : 1);
      jump(to);
    }
  }
  ACTORMIMIC_INLINE void jump(std::uint16_t target) {
    if constexpr (kDecoded) {
      // Bounds what a loop may execute before its count is looked at.
      if (executed() > limit_) {
        leave_for(target);
      } else {
        enter(target);
      }
    } else {
      pc = target;
    }
  }
  ACTORMIMIC_INLINE void leave_for(std::uint16_t target) {
    pc_of_begin_ = static_cast<std::uint16_t>(target - (next - program_->begin()));
    leave = true;
  }

  Bus& bus_;
  const Bus::Page* pages_;
  std::uint8_t* ram_;
  const Program* program_;
  std::uint32_t limit_;
  std::uint16_t pc_of_begin_ = 0;  // the address at which the whole program would begin
  std::uint16_t operand_ = 0;
  std::uint8_t data_ = 0;  // what lies on the data bus
};

}  // namespace actormimic::vcs
