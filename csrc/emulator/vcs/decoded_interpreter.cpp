// run_decoded(): the loop that games spend their time in.
//
// Every handler ends in a jump of its own to the next one, which processors predict well. Memory is
// read and written in place; where a chip has to be asked or told, all handlers share one call, so
// that the compiler can keep the 6507's registers in the machine's. What is rare is left to step(),
// before anything of the instruction has happened.
#include "emulator/vcs/decoded_processor.hpp"
#include "emulator/vcs/interpreter.hpp"

namespace actormimic::vcs {
namespace {

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
  goto as_it_stands;

PollTimerSign:  // reads happen after 4 cycles
  if (bus.riot().ticks_left(cpu.cycle() + 4) >= 0x80) goto as_it_stands;
PollTimer:
  cpu.skip_rounds(bus.riot().cycles_with(1, cpu.cycle() + 4), limit);
  goto as_it_stands;
PollTimerHigh:
  cpu.skip_rounds(bus.riot().cycles_with(0x80, cpu.cycle() + 4), limit);
  goto as_it_stands;
PollTimerFlag:
  cpu.skip_rounds(bus.riot().cycles_with(0, cpu.cycle() + 4), limit);
as_it_stands:
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

// Decimal mode is step()'s business.
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
    const std::uint8_t* const low = cpu.shown(program, bus, pointer);
    const std::uint8_t* const high =
        cpu.shown(program, bus, (pointer & 0xff) == 0xff ? pointer & 0xff00 : pointer + 1);
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
    const std::uint8_t* const read = cpu.shown(program, bus, from);
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
