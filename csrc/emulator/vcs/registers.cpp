#include "emulator/vcs/registers.hpp"

namespace actormimic::vcs {
namespace {

constexpr int from_decimal(std::uint8_t byte) { return (byte >> 4) * 10 + (byte & 0x0f); }

constexpr std::uint8_t to_decimal(int number) {
  return static_cast<std::uint8_t>((number % 100 / 10) << 4 | number % 10);
}

}  // namespace

void Registers::add_decimal(std::uint8_t operand) {
  const std::uint8_t before = a;
  const int sum = from_decimal(a) + from_decimal(operand) + carry;
  carry = sum > 99 ? 1 : 0;
  a = to_decimal(sum & 0xff);
  set_nz(a);
  overflow = (before ^ a) & (a ^ operand);
}

void Registers::subtract_decimal(std::uint8_t operand) {
  const std::uint8_t before = a;
  const int borrow = 1 - carry;
  int difference = from_decimal(a) - from_decimal(operand) - borrow;
  if (difference < 0) difference += 100;
  // Operands above 99 can leave it negative. ALE then reads in front of its table to_decimal, where
  // from_decimal lies.
  a = difference >= 0
          ? to_decimal(difference)
          : static_cast<std::uint8_t>(from_decimal(static_cast<std::uint8_t>(256 + difference)));
  set_nz(a);
  carry = before >= operand + borrow ? 1 : 0;
  overflow = (before ^ a) & (a ^ operand);
}

void Registers::and_rotate(std::uint8_t operand) {
  const std::uint8_t value = a & operand;
  const std::uint8_t rotated = static_cast<std::uint8_t>(value >> 1 | carry << 7);
  a = rotated;
  set_nz(rotated);
  if (!decimal) {
    carry = (rotated >> 6) & 1;
    overflow = static_cast<std::uint8_t>((rotated << 1) ^ (rotated << 2));
    return;
  }
  nz = (carry != 0 ? 0x8000 : 0) | (rotated != 0 ? 1 : 0);
  overflow = static_cast<std::uint8_t>((value ^ rotated) << 1);
  if ((value & 0x0f) + (value & 0x01) > 0x05) a = (a & 0xf0) | ((a + 0x06) & 0x0f);
  carry = (value & 0xf0) + (value & 0x10) > 0x50 ? 1 : 0;
  if (carry != 0) a = static_cast<std::uint8_t>(a + 0x60);
}

}  // namespace actormimic::vcs
