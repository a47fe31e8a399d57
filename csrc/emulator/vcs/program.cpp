#include "emulator/vcs/program.hpp"

#include <pthread.h>

#include <array>
#include <iterator>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace actormimic::vcs {
namespace {

struct Entry {
  Handler handler = Handler::Rare;
  Mode mode = Mode::Implied;
};

using Table = std::array<Entry, 256>;

#define V(opcode, mnemonic, mode, cycles) table[opcode] = {Handler::mnemonic##_##mode, Mode::mode};
constexpr Table documented() {
  Table table{};
  ACTORMIMIC_6502_DOCUMENTED(V)
  return table;
}
// What the operand allows to be done faster.
constexpr Table by_operand() {
  Table table{};
  ACTORMIMIC_6502_BY_OPERAND(V)
  return table;
}
#undef V

constexpr Table kDocumented = documented();
constexpr Table kByOperand = by_operand();

bool is_riot_timer(std::uint16_t address) { return (address & 0x1284) == 0x0284; }

constexpr std::size_t kNoOffset = ~std::size_t{0};

// What consoles have decoded and at least one of them still holds, by cartridge and ROM. A console
// that is switched on anew has let go of it before; decoding takes far less than those frames.
struct Cache {
  using Key = std::pair<std::string, std::string>;
  std::mutex mutex;
  std::map<Key, std::weak_ptr<const std::vector<Decoded>>> decoded;

  // A fork waits for whoever is here: the child has no other thread that would ever unlock, nor
  // one to finish what stands half done in the map.
  static Cache& shared() {
    static Cache cache;
    [[maybe_unused]] static const int once = pthread_atfork(
        [] { cache.mutex.lock(); }, [] { cache.mutex.unlock(); }, [] { cache.mutex.unlock(); });
    return cache;
  }
};

}  // namespace

Program::Program(const std::uint8_t* rom, std::size_t size, const RomLayout& layout)
    : rom_(rom), size_(size), layout_(layout) {
  Cache& cache = Cache::shared();
  auto& decoded = cache.decoded;
  const Cache::Key key{layout.cartridge, {reinterpret_cast<const char*>(rom), size}};
  {
    const std::lock_guard<std::mutex> lock(cache.mutex);
    const auto found = decoded.find(key);
    if (found != decoded.end()) code_ = found->second.lock();
  }
  if (code_ != nullptr) return;
  auto code = std::make_shared<const std::vector<Decoded>>(decode());
  const std::lock_guard<std::mutex> lock(cache.mutex);
  for (auto entry = decoded.begin(); entry != decoded.end();)
    entry = entry->second.expired() ? decoded.erase(entry) : std::next(entry);
  std::weak_ptr<const std::vector<Decoded>>& shared = decoded[key];
  code_ = shared.lock();  // another thread may have been as quick
  if (code_ == nullptr) shared = code_ = std::move(code);
}

std::vector<Decoded> Program::decode() const {
  std::vector<Decoded> code;
  code.reserve(size_);
  for (std::size_t offset = 0; offset < size_; ++offset) code.push_back(decode(offset));
  return code;
}

Handler Program::handler_at(std::size_t offset) const { return kDocumented[rom_[offset]].handler; }

bool Program::is_hotspot(std::size_t offset) const {
  const std::size_t place = offset & 0xfff;
  return place >= layout_.first_hotspot && place <= layout_.last_hotspot;
}

std::size_t Program::hidden_offset(const Bus& bus, std::uint16_t address) const {
  if ((address & 0x1000) == 0) return kNoOffset;
  if (layout_.bank_by_address) return (address & 0xfff) + ((address & 0x2000) != 0 ? 0 : 0x1000);
  // The page of the hotspots goes on where the one before it ends.
  constexpr unsigned kPageBytes = Bus::kPageMask + 1;
  constexpr unsigned kLastPage = 0x2000 - kPageBytes;
  if ((address & Bus::kAddressMask) < kLastPage) return kNoOffset;
  const std::size_t before = offset_of(bus.page(kLastPage - kPageBytes));
  if (before >= size()) return kNoOffset;
  return before + kPageBytes + (address & Bus::kPageMask);
}

const std::uint8_t* Program::hidden_byte(const Bus& bus, std::uint16_t address) const {
  const std::size_t offset = hidden_offset(bus, address);
  return offset >= size() || is_hotspot(address) ? nullptr : rom_ + offset;
}

Decoded Program::decode(std::size_t offset) const {
  const std::uint8_t opcode = rom_[offset];
  Entry entry = kDocumented[opcode];
  if (entry.handler == Handler::Rare) return {Handler::Rare, 0};
  const std::size_t end = offset + static_cast<std::size_t>(length(entry.mode));
  for (std::size_t at = offset; at < end; ++at) {
    if (is_hotspot(at)) return {Handler::Rare, 0};
  }
  const auto byte = [&](std::size_t at) { return at < size_ ? rom_[at] : 0; };
  auto operand = static_cast<std::uint16_t>(byte(offset + 1));
  if (length(entry.mode) == 3) operand |= static_cast<std::uint16_t>(byte(offset + 2) << 8);
  if (entry.mode == Mode::Relative) {
    operand = static_cast<std::uint16_t>(static_cast<std::int8_t>(operand));
    // Slices begin at multiples of 256, so the ROM tells which branches cross one.
    const std::size_t target = end + static_cast<std::size_t>(static_cast<std::int16_t>(operand));
    // A chip of the cartridge's own hides the first of them.
    const bool in_sight = (target & 0xfff) >= layout_.chip_end;
    if (in_sight && target / 256 == end / 256 && end_of_slice(target) == end_of_slice(offset))
      entry = kByOperand[opcode];
  }
  if (entry.mode == Mode::Zero && operand >= 0x80) entry = kByOperand[opcode];
  if (entry.mode == Mode::Absolute && is_riot_timer(operand)) {
    const Handler poll = poll_at(offset, operand);
    if (poll != Handler::Rare) entry.handler = poll;
  }
  if (end >= end_of_slice(offset)) entry.handler = Handler::Seam;
  return {entry.handler, operand};
}

// Whether a loop begins here that does nothing but wait for the timer.
Handler Program::poll_at(std::size_t offset, std::uint16_t operand) const {
  constexpr std::size_t kLoopBytes = 5;
  constexpr std::uint8_t kBit = 0x2c, kLdy = 0xac, kLda = 0xad, kLdx = 0xae;
  constexpr std::uint8_t kBpl = 0x10, kBmi = 0x30, kBne = 0xd0, kBack = 0xfb;
  const std::size_t end = offset + kLoopBytes;
  if (end >= end_of_slice(offset) || end / 256 != offset / 256) return Handler::Rare;
  if (is_hotspot(offset + 3) || is_hotspot(offset + 4)) return Handler::Rare;
  const std::uint8_t opcode = rom_[offset], branch = rom_[offset + 3];
  const bool loads = opcode == kLda || opcode == kLdx || opcode == kLdy;
  if (rom_[offset + 4] != kBack || (!loads && opcode != kBit)) return Handler::Rare;
  const bool flag = (operand & 1) != 0;
  if (branch == kBpl) return flag ? Handler::PollTimerFlag : Handler::PollTimerSign;
  if (branch == kBmi && !flag) return Handler::PollTimerHigh;
  if (branch == kBne && loads && !flag) return Handler::PollTimer;
  return Handler::Rare;
}

}  // namespace actormimic::vcs
