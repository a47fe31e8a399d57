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
  const auto both = static_cast<std::uint8_t>(a & operand);
  a = static_cast<std::uint8_t>(both >> 1 | carry << 7);
  set_nz(a);
  carry = both >> 7;
  overflow = static_cast<std::uint8_t>(both ^ both << 1);
  if (!decimal) return;
  // The adder also corrects what was rotated: six more for each digit of the sum that is above 9,
  // but without a carry from digit to digit.
  carry = both >= 0x50 ? 1 : 0;
  const int low = a + ((both & 0x0f) >= 0x05 ? 0x06 : 0), high = a + (carry != 0 ? 0x60 : 0);
  a = static_cast<std::uint8_t>((high & 0xf0) | (low & 0x0f));
}

}  // namespace actormimic::vcs
