// step(): one instruction with all its accesses, in ALE's order.
//
// ALE's two shortcuts are kept, because games can tell: only the accesses that an instruction needs
// happen, and all of its cycles have passed before the first of them. The order of reads decides
// what is left on the data bus when the TIA drives but two of its lines.
#include "emulator/vcs/instruction_set.hpp"
#include "emulator/vcs/instructions.hpp"
#include "emulator/vcs/interpreter.hpp"

namespace actormimic::vcs {
namespace {

class PlainProcessor : public Instructions {
 public:
  PlainProcessor(const Registers& registers, Bus& bus)
      : Instructions{registers}, bus_(bus), data_(bus.data()) {}

  std::uint8_t data() const { return data_; }
  std::uint8_t fetch() { return read(pc++); }
  void begin(std::uint32_t cycles) {
    ++ticks;
    pass(cycles);
  }

  template <Mode kMode>
  std::uint8_t load() {
    if constexpr (kMode == Mode::Immediate) {
      return fetch();
    } else {
      return read(address<kMode, true>());
    }
  }
  // The address of a store; those take the cycle that reads spend only when a page is crossed.
  template <Mode kMode>
  std::uint16_t destination() {
    return address<kMode, false>();
  }
  std::uint8_t read(std::uint16_t address) {
    const Bus::Page& page = bus_.page(address);
    data_ = page.directPeekBase != nullptr ? page.directPeekBase[address & Bus::kPageMask]
                                           : bus_.peek(address, cycle(), data_);
    return data_;
  }
  void write(std::uint16_t address, std::uint8_t value) {
    data_ = value;
    const Bus::Page& page = bus_.page(address);
    if (page.directPokeBase != nullptr) {
      page.directPokeBase[address & Bus::kPageMask] = value;
    } else {
      const std::uint32_t now = cycle();
      pass(bus_.poke(address, value, now) - now);
    }
  }

  void branch(bool taken) {
    const auto distance = static_cast<std::int8_t>(fetch());
    if (!taken) return;
    const auto target = static_cast<std::uint16_t>(pc + distance);
    pass(((pc ^ target) & 0xff00) != 0 ? 2 : 1);
    pc = target;
  }

  template <Mode kMode>
  void JMP() {
    const std::uint16_t operand = word();
    if constexpr (kMode == Mode::Absolute) {
      pc = operand;
    } else {
      // The chip does not carry into the high byte of the pointer.
      const bool wraps = (operand & 0xff) == 0xff;
      pc = word_at(operand, static_cast<std::uint16_t>(wraps ? operand & 0xff00 : operand + 1));
    }
  }
  template <Mode>
  void JSR() {
    const std::uint8_t low = fetch();
    read(stack());
    push(static_cast<std::uint8_t>(pc >> 8));
    push_on(static_cast<std::uint8_t>(pc));
    pc = static_cast<std::uint16_t>(read(pc) << 8 | low);
  }
  template <Mode>
  void RTS() {
    read(stack());
    const std::uint8_t low = pull();
    pc = static_cast<std::uint16_t>(pull() << 8 | low);
    read(pc++);
  }
  template <Mode>
  void RTI() {
    read(stack());
    set_status(pull());
    const std::uint8_t low = pull();
    pc = static_cast<std::uint16_t>(pull() << 8 | low);
  }
  template <Mode>
  void BRK() {
    fetch();
    break_flag = true;
    push(static_cast<std::uint8_t>(pc >> 8));
    push_on(static_cast<std::uint8_t>(pc));
    push_on(status());
    interrupt_disable = true;
    pc = word_at(0xfffe, 0xffff);
  }
  template <Mode>
  void PHA() {
    push(a);
  }
  template <Mode>
  void PHP() {
    push(status());
  }
  template <Mode>
  void PLA() {
    read(stack());
    set_nz(a = pull());
  }
  template <Mode>
  void PLP() {
    read(stack());
    set_status(pull());
  }

 private:
  void pass(std::uint32_t cycles) { ticks += cycles * kCycle; }

  std::uint16_t word_at(std::uint16_t low_at, std::uint16_t high_at) {
    const std::uint8_t low = read(low_at);
    return static_cast<std::uint16_t>(read(high_at) << 8 | low);
  }
  std::uint16_t word() {
    const std::uint8_t low = fetch();
    return static_cast<std::uint16_t>(fetch() << 8 | low);
  }
  // A pointer at $FF has its high byte at $100, which is the TIA's.
  std::uint16_t pointer(std::uint8_t at) { return word_at(at, static_cast<std::uint16_t>(at + 1)); }

  std::uint16_t indexed(std::uint16_t base, std::uint8_t index, bool reads) {
    const auto address = static_cast<std::uint16_t>(base + index);
    if (reads && ((address ^ base) & 0xff00) != 0) pass(1);
    return address;
  }
  template <Mode kMode, bool kReads>
  std::uint16_t address() {
    if constexpr (kMode == Mode::Zero) return fetch();
    if constexpr (kMode == Mode::ZeroX) return static_cast<std::uint8_t>(fetch() + x);
    if constexpr (kMode == Mode::ZeroY) return static_cast<std::uint8_t>(fetch() + y);
    if constexpr (kMode == Mode::Absolute) return word();
    if constexpr (kMode == Mode::AbsoluteX) return indexed(word(), x, kReads);
    if constexpr (kMode == Mode::AbsoluteY) return indexed(word(), y, kReads);
    if constexpr (kMode == Mode::IndirectX) return pointer(static_cast<std::uint8_t>(fetch() + x));
    if constexpr (kMode == Mode::IndirectY) return indexed(pointer(fetch()), y, kReads);
  }

  std::uint16_t stack() const { return static_cast<std::uint16_t>(0x100 + sp); }
  std::uint8_t pull() {
    ++sp;
    return read(stack());
  }
  void push(std::uint8_t value) {
    write(stack(), value);
    --sp;
  }
  // A push right behind another: WSYNC halts the processor at reads alone.
  void push_on(std::uint8_t value) {
    const std::uint64_t now = ticks;
    push(value);
    ticks = now;
  }

  Bus& bus_;
  std::uint8_t data_;  // what lies on the data bus
};

}  // namespace

bool step(Registers& registers, Bus& bus) {
  PlainProcessor cpu(registers, bus);
  cpu.opcode = cpu.fetch();
  bool jams = false;
  switch (cpu.opcode) {
#define READ(code, mnemonic, mode, cycles) \
  case code:                               \
    cpu.begin(cycles);                     \
    cpu.mnemonic(cpu.load<Mode::mode>());  \
    break;
    ACTORMIMIC_6502_READS(READ)
    ACTORMIMIC_6502_ARITHMETIC(READ)
    ACTORMIMIC_6502_ODD_READS(READ)

#define WRITE(code, mnemonic, mode, cycles)                   \
  case code:                                                  \
    cpu.begin(cycles);                                        \
    cpu.write(cpu.destination<Mode::mode>(), cpu.mnemonic()); \
    break;
    ACTORMIMIC_6502_WRITES(WRITE)
    ACTORMIMIC_6502_ODD_WRITES(WRITE)

#define HIGH_WRITE(code, mnemonic, mode, cycles)                 \
  case code: {                                                   \
    cpu.begin(cycles);                                           \
    const std::uint16_t address = cpu.destination<Mode::mode>(); \
    cpu.write(address, cpu.mnemonic(address));                   \
    break;                                                       \
  }
    ACTORMIMIC_6502_HIGH_WRITES(HIGH_WRITE)

#define MODIFY(code, mnemonic, mode, cycles)                     \
  case code: {                                                   \
    cpu.begin(cycles);                                           \
    const std::uint16_t address = cpu.destination<Mode::mode>(); \
    cpu.write(address, cpu.mnemonic(cpu.read(address)));         \
    break;                                                       \
  }
    ACTORMIMIC_6502_MODIFIES(MODIFY)
    ACTORMIMIC_6502_ODD_MODIFIES(MODIFY)

#define ACCUMULATOR(code, mnemonic, mode, cycles) \
  case code:                                      \
    cpu.begin(cycles);                            \
    cpu.a = cpu.mnemonic(cpu.a);                  \
    break;
    ACTORMIMIC_6502_ACCUMULATOR(ACCUMULATOR)

#define IMPLIED(code, mnemonic, mode, cycles) \
  case code:                                  \
    cpu.begin(cycles);                        \
    cpu.mnemonic();                           \
    break;
    ACTORMIMIC_6502_IMPLIED(IMPLIED)
    ACTORMIMIC_6502_ODD_IMPLIED(IMPLIED)

#define BRANCH(code, mnemonic, mode, cycles) \
  case code:                                 \
    cpu.begin(cycles);                       \
    cpu.branch(cpu.mnemonic());              \
    break;
    ACTORMIMIC_6502_BRANCHES(BRANCH)

#define CONTROL(code, mnemonic, mode, cycles) \
  case code:                                  \
    cpu.begin(cycles);                        \
    cpu.mnemonic<Mode::mode>();               \
    break;
    ACTORMIMIC_6502_CONTROL(CONTROL)

    default:
      jams = true;
  }
  registers = cpu;
  bus.leave_data(cpu.data());
  return !jams;
}

}  // namespace actormimic::vcs
