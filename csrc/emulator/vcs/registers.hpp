// The registers of the 6507 and its arithmetic.
#pragma once

#include <cstdint>

namespace actormimic::vcs {

// Everything of the processor that a program can see, and the time.
struct Registers {
  std::uint8_t a = 0;
  std::uint8_t x = 0;
  std::uint8_t y = 0;
  std::uint8_t sp = 0xff;
  std::uint8_t opcode = 0;  // of the newest instruction
  std::uint16_t pc = 0;
  std::uint32_t nz = 1;       // Z where the low byte is 0, N where bit 7 or bit 15 is set
  std::uint8_t carry = 0;     // 0 or 1
  std::uint8_t overflow = 0;  // in bit 7
  bool decimal = false;
  bool interrupt_disable = false;
  bool break_flag = true;
  // Instructions in the low 16 bits and cycles above them: one addition counts both.
  std::uint64_t ticks = 0;

  static constexpr std::uint64_t kCycle = 1 << 16;
  std::uint32_t executed() const { return static_cast<std::uint16_t>(ticks); }
  std::uint32_t cycle() const { return static_cast<std::uint32_t>(ticks >> 16); }

  bool negative() const { return (nz & 0x8080) != 0; }
  bool zero() const { return (nz & 0xff) == 0; }
  void set_nz(std::uint8_t value) { nz = value; }

  std::uint8_t status() const {
    return static_cast<std::uint8_t>((negative() ? 0x80 : 0) | ((overflow & 0x80) >> 1) | 0x20 |
                                     (break_flag ? 0x10 : 0) | (decimal ? 0x08 : 0) |
                                     (interrupt_disable ? 0x04 : 0) | (zero() ? 0x02 : 0) | carry);
  }
  void set_status(std::uint8_t status) {
    nz = (status & 0x80) << 8 | (~status & 0x02);
    overflow = static_cast<std::uint8_t>(status << 1);
    break_flag = true;  // the 6507 has no interrupt to tell apart from BRK
    decimal = (status & 0x08) != 0;
    interrupt_disable = (status & 0x04) != 0;
    carry = status & 0x01;
  }

  void add(std::uint8_t operand) {
    const unsigned sum = a + operand + carry;
    overflow = static_cast<std::uint8_t>(~(a ^ operand) & (a ^ sum));
    carry = static_cast<std::uint8_t>(sum >> 8);
    set_nz(a = static_cast<std::uint8_t>(sum));
  }
  void subtract(std::uint8_t operand) { add(static_cast<std::uint8_t>(~operand)); }
  void compare(std::uint8_t value, std::uint8_t operand) {
    carry = value >= operand ? 1 : 0;
    set_nz(static_cast<std::uint8_t>(value - operand));
  }

  std::uint8_t shift_left(std::uint8_t value, std::uint8_t incoming) {
    carry = value >> 7;
    return static_cast<std::uint8_t>(value << 1 | incoming);
  }
  std::uint8_t shift_right(std::uint8_t value, std::uint8_t incoming) {
    carry = value & 1;
    return static_cast<std::uint8_t>(value >> 1 | incoming << 7);
  }

  // Decimal mode as ALE computes it: by way of the number itself. Digits above 9, which the chip
  // treats otherwise, give what ALE's tables hold there.
  void add_decimal(std::uint8_t operand);
  void subtract_decimal(std::uint8_t operand);
  // ARR: AND, then rotate right. Meanwhile the adder adds the AND's result to itself, and carry and
  // overflow are that sum's.
  void and_rotate(std::uint8_t operand);
};

}  // namespace actormimic::vcs
