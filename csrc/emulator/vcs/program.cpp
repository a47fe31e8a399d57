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

bool is_riot_timer(std::uint16_t address) { return (address & 0x1284) == 0x0284; }

}  // namespace

Program::Program(const std::uint8_t* image, std::size_t size, std::size_t slice)
    : image_(image), size_(size), slice_(slice) {
  code_.reserve(size);
  for (std::size_t offset = 0; offset < size; ++offset) code_.push_back(decode(offset));
}

Handler Program::handler_at(std::size_t offset) const {
  return kDocumented[image_[offset]].handler;
}

std::size_t Program::end_of_piece(std::size_t offset) const {
  const std::size_t slice = offset / slice_ * slice_;
  const std::size_t last_page = slice + slice_ - (Bus::kPageMask + 1);
  return offset < last_page ? last_page : slice + slice_;
}

Decoded Program::decode(std::size_t offset) const {
  const std::uint8_t opcode = image_[offset];
  Entry entry = kDocumented[opcode];
  if (entry.handler == Handler::Rare) return {Handler::Rare, 0};
  const std::size_t end = offset + static_cast<std::size_t>(length(entry.mode));
  const auto byte = [&](std::size_t at) { return at < size_ ? image_[at] : 0; };
  auto operand = static_cast<std::uint16_t>(byte(offset + 1));
  if (length(entry.mode) == 3) operand |= static_cast<std::uint16_t>(byte(offset + 2) << 8);
  if (entry.mode == Mode::Relative) {
    operand = static_cast<std::uint16_t>(static_cast<std::int8_t>(operand));
    // Slices begin at even addresses of 256 bytes, so the ROM tells what crosses one.
    const std::size_t target = end + static_cast<std::size_t>(static_cast<std::int16_t>(operand));
    if (target / 256 == end / 256 && end_of_piece(target) == end_of_piece(offset))
      entry = kByOperand[opcode];
  }
  if (entry.mode == Mode::Zero && operand >= 0x80) entry = kByOperand[opcode];
  if (entry.mode == Mode::Absolute && is_riot_timer(operand)) {
    const Handler poll = poll_at(offset, operand);
    if (poll != Handler::Rare) entry.handler = poll;
  }
  if (end >= end_of_piece(offset)) entry.handler = Handler::Seam;
  return {entry.handler, operand};
}

// Whether a loop begins here that does nothing but wait for the timer.
Handler Program::poll_at(std::size_t offset, std::uint16_t operand) const {
  constexpr std::size_t kLoopBytes = 5;
  constexpr std::uint8_t kBit = 0x2c, kLdy = 0xac, kLda = 0xad, kLdx = 0xae;
  constexpr std::uint8_t kBpl = 0x10, kBne = 0xd0, kBack = 0xfb;
  const std::size_t end = offset + kLoopBytes;
  if (end >= end_of_piece(offset) || end / 256 != offset / 256) return Handler::Rare;
  const std::uint8_t opcode = image_[offset];
  const bool loads = opcode == kLda || opcode == kLdx || opcode == kLdy;
  if (image_[offset + 4] != kBack || (!loads && opcode != kBit)) return Handler::Rare;
  const bool flag = (operand & 1) != 0;
  if (image_[offset + 3] == kBpl) return flag ? Handler::PollTimerFlag : Handler::PollTimerSign;
  if (image_[offset + 3] == kBne && loads && !flag) return Handler::PollTimer;
  return Handler::Rare;
}

}  // namespace actormimic::vcs
