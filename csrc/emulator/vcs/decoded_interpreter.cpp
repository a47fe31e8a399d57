// run_decoded(): the loop that games spend their time in.
//
// Every handler ends in a jump of its own to the next one, which processors predict well. Memory is
// read and written in place; where a chip has to be asked or told, all handlers share one call, so
// that the compiler can keep the 6507's registers in the machine's. What is rare is left to step(),
// before anything of the instruction has happened.
#include <algorithm>

#include "emulator/vcs/instruction_set.hpp"
#include "emulator/vcs/instructions.hpp"
#include "emulator/vcs/interpreter.hpp"

namespace actormimic::vcs {
namespace {

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
  // Goes on to the last round of a polling loop whose read comes no later than `last`, the loop
  // being 7 cycles and 2 instructions, and its reads happening after 4 cycles.
  void skip_rounds(std::int32_t last, std::uint32_t limit) {
    const std::int32_t left = last - static_cast<std::int32_t>(cycle() + 4);
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

bool is_cartridge(unsigned address) { return (address & 0x1000) != 0; }

}  // namespace

[[gnu::flatten]] bool run_decoded(Registers& registers, Bus& bus, const Program& program,
                                  std::uint32_t limit) {
  static const void* const kHandlers[] = {
      &&Rare,
      &&Seam,
      &&PollTimer,
      &&PollTimerSign,
      &&PollTimerHigh,
      &&PollTimerFlag,
#define V(code, mnemonic, mode, cycles) &&mnemonic##_##mode,
      ACTORMIMIC_6502_DOCUMENTED(V) ACTORMIMIC_6502_BY_OPERAND(V)
#undef V
  };
#define NEXT goto* kHandlers[static_cast<std::size_t>(cpu.next->handler)]

  DecodedProcessor cpu(registers, bus, program);
  unsigned accessed = 0;  // the address at which a chip is asked or told
  std::uint8_t value = 0;
  std::uint8_t data = 0;  // on the data bus
  const void* answered = nullptr;
  // To take an instruction back before its access: the ticks before it and its length.
  struct {
    std::uint64_t ticks;
    int length;
  } begun = {0, 0};
  std::uint16_t target = registers.pc;
  bool step_needed = true;

  if (registers.executed() >= limit) return true;
  data = bus.data();
  if (!cpu.jump(program, target)) goto gone;
  NEXT;

Rare:
  goto leave;

Seam:
  if (!cpu.seam_holds(program)) goto leave;
  goto* kHandlers[static_cast<std::size_t>(
      program.handler_at(static_cast<std::size_t>(cpu.next - cpu.code)))];

PollTimerSign:
  if (bus.riot().ticks_left(cpu.cycle() + 4) >= 0x80) goto poll;
PollTimer:
  cpu.skip_rounds(bus.riot().last_cycle_with(1), limit);
  goto poll;
PollTimerHigh:
  cpu.skip_rounds(bus.riot().last_cycle_with(0x80), limit);
  goto poll;
PollTimerFlag:
  cpu.skip_rounds(bus.riot().last_cycle_with(0), limit);
poll:
  goto* kHandlers[static_cast<std::size_t>(
      program.handler_at(static_cast<std::size_t>(cpu.next - cpu.code)))];

#define LOAD(mnemonic, mode, cycles, possible, execute)                   \
  mnemonic##_##mode : {                                                   \
    if (!(possible)) goto leave;                                          \
    if constexpr (Mode::mode == Mode::Immediate) {                        \
      value = static_cast<std::uint8_t>(cpu.next->operand);               \
      cpu.begin<Mode::mode>(cycles);                                      \
    } else if constexpr (Mode::mode == Mode::ZeroRam) {                   \
      value = cpu.ram[cpu.next->operand - 0x80];                          \
      cpu.begin<Mode::mode>(cycles);                                      \
    } else {                                                              \
      if (!cpu.pointer_in_ram<Mode::mode>()) goto leave;                  \
      const unsigned base = cpu.base<Mode::mode>();                       \
      const unsigned address = cpu.address<Mode::mode>(base);             \
      const std::uint8_t* const cell = cpu.readable<Mode::mode>(address); \
      const std::uint64_t before = cpu.ticks;                             \
      cpu.begin<Mode::mode>(cycles);                                      \
      cpu.pass_carry<Mode::mode>(base, address);                          \
      if (cell == nullptr) {                                              \
        accessed = address;                                               \
        data = DecodedProcessor::on_bus<Mode::mode>(base);                \
        begun = {before, length(Mode::mode)};                             \
        answered = &&mnemonic##_##mode##_answered;                        \
        goto ask;                                                         \
      }                                                                   \
      value = *cell;                                                      \
    }                                                                     \
    mnemonic##_##mode##_answered : cpu.execute(value);                    \
    NEXT;                                                                 \
  }
#define READ(code, mnemonic, mode, cycles) LOAD(mnemonic, mode, cycles, true, mnemonic)
  ACTORMIMIC_6502_READS(READ)
  ACTORMIMIC_6502_RAM_READS(READ)

// Digits are step()'s business.
#define ARITHMETIC(code, mnemonic, mode, cycles) \
  LOAD(mnemonic, mode, cycles, !cpu.decimal, mnemonic##_binary)
  ACTORMIMIC_6502_ARITHMETIC(ARITHMETIC)
  ACTORMIMIC_6502_RAM_ARITHMETIC(ARITHMETIC)

#define WRITE(code, mnemonic, mode, cycles)                                   \
  mnemonic##_##mode : {                                                       \
    if (!cpu.pointer_in_ram<Mode::mode>()) goto leave;                        \
    const unsigned address = cpu.address<Mode::mode>(cpu.base<Mode::mode>()); \
    std::uint8_t* const cell = cpu.writable<Mode::mode>(address);             \
    const std::uint64_t before = cpu.ticks;                                   \
    cpu.begin<Mode::mode>(cycles);                                            \
    value = cpu.mnemonic();                                                   \
    if (cell == nullptr) {                                                    \
      accessed = address;                                                     \
      cpu.opcode = code;                                                      \
      begun = {before, length(Mode::mode)};                                   \
      goto tell;                                                              \
    }                                                                         \
    *cell = value;                                                            \
    NEXT;                                                                     \
  }
  ACTORMIMIC_6502_WRITES(WRITE)

#define RAM_WRITE(code, mnemonic, mode, cycles)         \
  mnemonic##_##mode : {                                 \
    cpu.ram[cpu.next->operand - 0x80] = cpu.mnemonic(); \
    cpu.begin<Mode::mode>(cycles);                      \
    NEXT;                                               \
  }
  ACTORMIMIC_6502_RAM_WRITES(RAM_WRITE)

#define MODIFY(code, mnemonic, mode, cycles)                                      \
  mnemonic##_##mode : {                                                           \
    if (!cpu.pointer_in_ram<Mode::mode>()) goto leave;                            \
    const unsigned address = cpu.address<Mode::mode>(cpu.base<Mode::mode>());     \
    std::uint8_t* const cell = cpu.writable<Mode::mode>(address);                 \
    if (cell == nullptr || cell != cpu.readable<Mode::mode>(address)) goto leave; \
    cpu.begin<Mode::mode>(cycles);                                                \
    *cell = cpu.mnemonic(*cell);                                                  \
    NEXT;                                                                         \
  }
  ACTORMIMIC_6502_MODIFIES(MODIFY)

#define RAM_MODIFY(code, mnemonic, mode, cycles)            \
  mnemonic##_##mode : {                                     \
    std::uint8_t& cell = cpu.ram[cpu.next->operand - 0x80]; \
    cpu.begin<Mode::mode>(cycles);                          \
    cell = cpu.mnemonic(cell);                              \
    NEXT;                                                   \
  }
  ACTORMIMIC_6502_RAM_MODIFIES(RAM_MODIFY)

#define ACCUMULATOR(code, mnemonic, mode, cycles) \
  mnemonic##_##mode : {                           \
    cpu.begin<Mode::mode>(cycles);                \
    cpu.a = cpu.mnemonic(cpu.a);                  \
    NEXT;                                         \
  }
  ACTORMIMIC_6502_ACCUMULATOR(ACCUMULATOR)

#define IMPLIED(code, mnemonic, mode, cycles) \
  mnemonic##_##mode : {                       \
    cpu.begin<Mode::mode>(cycles);            \
    cpu.mnemonic();                           \
    NEXT;                                     \
  }
  ACTORMIMIC_6502_IMPLIED(IMPLIED)

// Goes on at `address`. The count is looked at here; `byte` is what lies on the data bus.
#define JUMP(address, byte)                                      \
  {                                                              \
    target = static_cast<std::uint16_t>(address);                \
    if (cpu.executed() >= limit || !cpu.jump(program, target)) { \
      data = static_cast<std::uint8_t>(byte);                    \
      goto gone;                                                 \
    }                                                            \
    NEXT;                                                        \
  }

#define NEAR_BRANCH(code, mnemonic, mode, cycles)                      \
  mnemonic##_##mode : {                                                \
    const int distance = static_cast<std::int16_t>(cpu.next->operand); \
    cpu.begin<Mode::mode>(cycles);                                     \
    if (cpu.mnemonic()) {                                              \
      cpu.next += distance;                                            \
      cpu.ticks += Registers::kCycle;                                  \
      if (cpu.executed() >= limit) goto leave;                         \
    }                                                                  \
    NEXT;                                                              \
  }
  ACTORMIMIC_6502_NEAR_BRANCHES(NEAR_BRANCH)

#define BRANCH(code, mnemonic, mode, cycles)                                               \
  mnemonic##_##mode : {                                                                    \
    const int distance = static_cast<std::int16_t>(cpu.next->operand);                     \
    cpu.begin<Mode::mode>(cycles);                                                         \
    if (!cpu.mnemonic()) NEXT;                                                             \
    const int from = cpu.next_pc();                                                        \
    cpu.ticks += Registers::kCycle * (((from ^ (from + distance)) & 0xff00) != 0 ? 2 : 1); \
    JUMP(from + distance, distance)                                                        \
  }
  ACTORMIMIC_6502_BRANCHES(BRANCH)

JMP_Absolute:
  {
    const unsigned to = cpu.next->operand;
    cpu.begin<Mode::Absolute>(3);
    JUMP(to, to >> 8)
  }
JMP_Indirect:
  {
    // The chip does not carry into the high byte of the pointer.
    const unsigned pointer = cpu.next->operand;
    const std::uint8_t* const low = cpu.readable(pointer);
    const std::uint8_t* const high =
        cpu.readable((pointer & 0xff) == 0xff ? pointer & 0xff00 : pointer + 1);
    if (low == nullptr || high == nullptr) goto leave;
    cpu.begin<Mode::Indirect>(5);
    JUMP(*high << 8 | *low, *high)
  }
JSR_Absolute:
  {
    if (cpu.sp < 0x81) goto leave;
    const unsigned to = cpu.next->operand;
    const auto from = static_cast<std::uint16_t>(cpu.next_pc() + 2);
    cpu.ram[cpu.sp - 0x80] = static_cast<std::uint8_t>(from >> 8);
    cpu.ram[cpu.sp - 0x81] = static_cast<std::uint8_t>(from);
    cpu.sp -= 2;
    cpu.begin<Mode::Absolute>(6);
    JUMP(to, to >> 8)
  }
RTS_Implied:
  {
    if (cpu.sp < 0x80 || cpu.sp > 0xfd) goto leave;
    const std::uint8_t* const top = cpu.ram + cpu.sp - 0x80;
    const unsigned from = static_cast<unsigned>(top[2] << 8 | top[1]);
    const std::uint8_t* const read = cpu.readable(from);
    if (read == nullptr) goto leave;
    cpu.sp += 2;
    cpu.begin<Mode::Implied>(6);
    JUMP(from + 1, *read)
  }
RTI_Implied:
  {
    if (cpu.sp < 0x80 || cpu.sp > 0xfc) goto leave;
    const std::uint8_t* const top = cpu.ram + cpu.sp - 0x80;
    cpu.set_status(top[1]);
    cpu.sp += 3;
    cpu.begin<Mode::Implied>(6);
    JUMP(top[3] << 8 | top[2], top[3])
  }
BRK_Implied:
  goto leave;

PHA_Implied:
  value = cpu.a;
  cpu.opcode = 0x48;
  goto push;
PHP_Implied:
  value = cpu.status();
  cpu.opcode = 0x08;
push:
  cpu.begin<Mode::Implied>(3);
  accessed = 0x100u + cpu.sp--;
  if ((accessed & 0x80) == 0) goto tell;
  cpu.ram[accessed - 0x180] = value;
  NEXT;

PLA_Implied:
  // Programs pull from under $80, too: that reads the TIA's collisions.
  cpu.begin<Mode::Implied>(4);
  if (cpu.sp < 0x80) {
    accessed = 0x100u + cpu.sp;
    data = 0x68;
    answered = &&PLA_peeked;
    goto ask;
  }
  value = cpu.ram[cpu.sp - 0x80];
PLA_peeked:
  if (++cpu.sp < 0x80) {
    accessed = 0x100u + cpu.sp;
    data = value;
    answered = &&PLA_answered;
    goto ask;
  }
  value = cpu.ram[cpu.sp - 0x80];
PLA_answered:
  cpu.LDA(value);
  NEXT;

PLP_Implied:
  if (cpu.sp < 0x80 || cpu.sp == 0xff) goto leave;
  cpu.begin<Mode::Implied>(4);
  cpu.set_status(cpu.ram[++cpu.sp - 0x80]);
  NEXT;

ask:
  if (is_cartridge(accessed)) {
    const std::uint8_t* const byte = program.hidden_byte(bus, static_cast<std::uint16_t>(accessed));
    if (byte != nullptr) {
      value = *byte;
      goto* answered;
    }
    if (!program.is_chip(static_cast<std::uint16_t>(accessed))) goto take_back;
  }
  value = bus.peek(static_cast<std::uint16_t>(accessed), cpu.cycle(), data);
  goto* answered;

tell:
  {
    if (is_cartridge(accessed) && !program.is_chip(static_cast<std::uint16_t>(accessed)))
      goto take_back;
    const std::uint32_t now = cpu.cycle();
    const std::uint32_t then = bus.poke(static_cast<std::uint16_t>(accessed), value, now);
    cpu.ticks += (then - now) * Registers::kCycle;
    if (!bus.stopped()) NEXT;
    bus.leave_data(value);
    step_needed = false;
    goto leave;
  }
take_back:
  cpu.ticks = begun.ticks;
  cpu.next -= begun.length;
leave:
  target = cpu.next_pc();
  cpu.give_back(registers);
  registers.pc = target;
  return step_needed;

gone:
  if (cpu.executed() < limit && cpu.go(program, program.hidden_offset(bus, target), target)) NEXT;
  cpu.give_back(registers);
  registers.pc = target;
  bus.leave_data(data);
  return true;
}

}  // namespace actormimic::vcs
