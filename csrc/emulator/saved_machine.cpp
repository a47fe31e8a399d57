#include "emulator/saved_machine.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <random>
#include <sstream>
#include <string_view>

#include "ale/emucore/Cart.hxx"
#include "common/check.hpp"

namespace actormimic {
namespace {

constexpr std::size_t kNumberBytes = 4;
const std::string kSlicedCartridge = "CartridgeE0";

// Numbers that a device saves behind its name, from `first` on, and what they may be: lengths,
// which have one value, banks, and places in a cartridge. The cartridges are those of the games
// that ALE supports.
struct Limits {
  std::string device;
  int first, count;
  std::int32_t low, high;
};
const Limits kLimits[] = {
    {"M6532", 0, 1, 128, 128},  // RAM
    {"CartridgeF6", 0, 1, 0, 3},       {"CartridgeF6SC", 0, 1, 0, 3},
    {"CartridgeF6SC", 1, 1, 128, 128}, {"CartridgeF8", 0, 1, 0, 1},
    {"CartridgeF8SC", 0, 1, 0, 1},     {"CartridgeF8SC", 1, 1, 128, 128},
    {kSlicedCartridge, 0, 1, 4, 4},    {kSlicedCartridge, 1, 3, 0, 7},
    {kSlicedCartridge, 4, 1, 7, 7},  // the last slice stays what it is
    {"CartridgeDPC", 0, 1, 0, 1},      {"CartridgeDPC", 1, 1, 8, 8},  // tops
    {"CartridgeDPC", 10, 1, 8, 8},                                    // bottoms
    {"CartridgeDPC", 19, 1, 8, 8},  // counters, and from here on where they stand
    {"CartridgeDPC", 20, 8, 0, 0x7ff}, {"CartridgeDPC", 28, 1, 8, 8},  // flags
    {"CartridgeDPC", 37, 1, 3, 3},                                     // music modes
};
// Cartridges that save nothing but their names.
constexpr std::string_view kWithoutNumbers[] = {"Cartridge2K", "Cartridge4K", "CartridgeFE"};

// Three clocks each have to fit an int, with room for frames to come: beyond, ALE's TIA looks in
// front of its tables. It begins to count anew with each frame: a program has to leave one
// unfinished for 3,000 pictures to come here.
constexpr std::int32_t kMostCycles = 1 << 29;

std::int32_t number(const std::string& bytes, std::size_t at) {
  require(at <= bytes.size() && bytes.size() - at >= kNumberBytes, "the saved state is cut short");
  std::int32_t value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

std::string text(const std::string& bytes, std::size_t at) {
  const std::int32_t length = number(bytes, at);
  require(0 <= length && static_cast<std::size_t>(length) <= bytes.size() - at - kNumberBytes,
          "the saved state is damaged: length ", length);
  return bytes.substr(at + kNumberBytes, static_cast<std::size_t>(length));
}

std::size_t end_of_text(const std::string& bytes, std::size_t at) {
  return at + kNumberBytes + text(bytes, at).size();
}

// Behind the MD5 and the system's name its cycle, then its generator.
std::size_t system_cycle(const std::string& machine) {
  return end_of_text(machine, end_of_text(machine, 0));
}
std::size_t system_generator(const std::string& machine) {
  return system_cycle(machine) + kNumberBytes;
}

bool counts_on(std::int32_t cycle) { return 0 <= cycle && cycle <= kMostCycles; }

std::string named(const std::string& device) {
  return std::string{static_cast<char>(device.size()), 0, 0, 0} + device;
}

}  // namespace

void require_generator(const std::string& text) {
  constexpr std::size_t kState = std::mt19937::state_size;
  std::istringstream in(text);
  std::size_t numbers = 0;
  std::uint32_t place = 0;
  for (std::uint32_t number; in >> number; place = number) ++numbers;
  // A sign is read as well, and by the generator into wider words: numbers that it never draws.
  const bool plain = text.find_first_not_of("0123456789 ") == std::string::npos;
  require(plain && in.eof() && numbers == kState + 1 && place <= kState,
          "the saved state is damaged: its generator cannot be read");
}

void require_savable(const std::string& cartridge) {
  const auto is_it = [&cartridge](const auto& name) { return name == cartridge; };
  require(std::any_of(std::begin(kWithoutNumbers), std::end(kWithoutNumbers), is_it) ||
              std::any_of(std::begin(kLimits), std::end(kLimits),
                          [&](const Limits& limits) { return is_it(limits.device); }),
          "games in a ", cartridge, " have no saved states");
}

void ensure_readable_machine(const std::string& machine) {
  const std::int32_t cycle = number(machine, system_cycle(machine));
  ensure(counts_on(cycle), "the state would be refused when it is loaded: cycle ", cycle,
         " of a frame that does not end");
}

void require_readable_machine(const std::string& machine, const std::string& own,
                              std::size_t sticky_bytes, const std::string& cartridge) {
  const std::int32_t cycle = number(machine, system_cycle(machine));
  require(counts_on(cycle), "the saved state is damaged: cycle ", cycle);
  require_generator(text(machine, system_generator(machine)));
  const std::size_t chips = end_of_text(machine, system_generator(machine));
  const std::size_t own_chips = end_of_text(own, system_generator(own));
  const std::size_t sticky = chips + own.size() - sticky_bytes - own_chips;
  require_generator(text(machine, sticky));
  require(end_of_text(machine, sticky) == machine.size(),
          "the saved state is damaged: its machine has bytes too many");
  for (const std::string& device : {std::string("M6502Low"), std::string("M6532"),
                                    std::string("TIA"), std::string("TIASound"), cartridge}) {
    const std::string name = named(device);
    const std::size_t at = own.find(name, own_chips) - own_chips + chips;
    require(machine.compare(at, name.size(), name) == 0, "the saved state is damaged: it has no ",
            device);
    for (const Limits& limits : kLimits) {
      if (limits.device != device) continue;
      for (int n = limits.first; n < limits.first + limits.count; ++n) {
        const std::int32_t value =
            number(machine, at + name.size() + kNumberBytes * static_cast<std::size_t>(n));
        require(limits.low <= value && value <= limits.high, "the saved state is damaged: number ",
                n, " of ", device, " is ", value);
      }
    }
  }
}

void map_saved_slices(const std::string& machine, ale::stella::Cartridge& cartridge) {
  if (cartridge.name() != kSlicedCartridge) return;
  const std::string name = named(kSlicedCartridge);
  const std::size_t first = machine.find(name) + name.size() + kNumberBytes;
  for (std::size_t segment = 0; segment < 3; ++segment) {
    const std::int32_t slice = number(machine, first + kNumberBytes * segment);
    // The cartridge maps a slice when its hotspot is read.
    cartridge.peek(static_cast<std::uint16_t>(0x1fe0 + 8 * segment + slice));
  }
}

}  // namespace actormimic
