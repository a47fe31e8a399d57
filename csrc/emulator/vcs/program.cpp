#include "emulator/vcs/program.hpp"

#include <array>

namespace actormimic::vcs {
namespace {

struct Entry {
  Handler handler = Handler::Rare;
  Mode mode = Mode::Implied;
};

using Table = std::array<Entry, 256>;

constexpr Table documented() {
  Table table{};
#define V(opcode, mnemonic, mode, cycles) table[opcode] = {Handler::mnemonic##_##mode, Mode::mode};
  ACTORMIMIC_6502_DOCUMENTED(V)
#undef V
  return table;
}

// What the operand allows to be done faster.
constexpr Table by_operand() {
  Table table{};
#define V(opcode, mnemonic, mode, cycles) table[opcode] = {Handler::mnemonic##_##mode, Mode::mode};
  ACTORMIMIC_6502_BY_OPERAND(V)
#undef V
  return table;
}

constexpr Table kDocumented = documented();
constexpr Table kByOperand = by_operand();

}  // namespace

Program::Program(const std::uint8_t* image, std::size_t size) : image_(image) {
  code_.reserve(size);
  for (std::size_t offset = 0; offset < size; ++offset) code_.push_back(decode(offset));
}

Handler Program::beyond_seam(std::size_t offset) const {
  return kDocumented[image_[offset]].handler;
}

Decoded Program::decode(std::size_t offset) const {
  const std::uint8_t opcode = image_[offset];
  Entry entry = kDocumented[opcode];
  if (entry.handler == Handler::Rare) return {Handler::Rare, 0};
  const std::size_t page_offset = offset & Bus::kPageMask;
  const std::size_t end = page_offset + static_cast<std::size_t>(length(entry.mode));
  const auto byte = [&](std::size_t at) { return at < code_.capacity() ? image_[at] : 0; };
  auto operand = static_cast<std::uint16_t>(byte(offset + 1));
  if (length(entry.mode) == 3) operand |= static_cast<std::uint16_t>(byte(offset + 2) << 8);
  if (entry.mode == Mode::Relative) {
    const int distance = static_cast<std::int8_t>(operand);
    operand = static_cast<std::uint16_t>(distance);
    const std::size_t target = end + static_cast<std::size_t>(distance);
    if (target <= Bus::kPageMask) entry = kByOperand[opcode];
  }
  if (entry.mode == Mode::Zero && operand >= 0x80) entry = kByOperand[opcode];
  if (end > Bus::kPageMask) entry.handler = Handler::Seam;
  return {entry.handler, operand};
}

}  // namespace actormimic::vcs
