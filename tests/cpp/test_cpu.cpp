// Our processor against ALE's own: random programs on random machines, compared down to the state
// that ALE serializes, which holds registers, time, RAM and every chip.
#include <algorithm>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <string_view>

#include "ale/ale_interface.hpp"
#include "ale/common/Log.hpp"
#include "ale/emucore/Cart.hxx"
#include "ale/emucore/Console.hxx"
#include "ale/emucore/M6502Low.hxx"
#include "ale/emucore/OSystem.hxx"
#include "ale/emucore/Serializer.hxx"
#include "ale/emucore/System.hxx"
#include "check.hpp"
#include "emulator/vcs/interpreter.hpp"
#include "emulator/vcs/processor.hpp"

namespace {

using ale::stella::System;

constexpr std::uint8_t kJams[] = {0x02, 0x12, 0x22, 0x32, 0x42, 0x52,
                                  0x62, 0x72, 0x92, 0xb2, 0xd2, 0xf2};

// Names ALE's protected registers.
struct Probe : ale::stella::M6502Low {
  static void set(ale::stella::M6502& cpu, std::mt19937& random) {
    const auto byte = [&] { return static_cast<std::uint8_t>(random()); };
    cpu.*(&Probe::A) = byte();
    cpu.*(&Probe::X) = byte();
    cpu.*(&Probe::Y) = byte();
    cpu.*(&Probe::SP) = byte();
    cpu.*(&Probe::PC) = static_cast<std::uint16_t>(0xf000 | (random() & 0xfff));
    cpu.*(&Probe::N) = (random() & 1) != 0;
    cpu.*(&Probe::V) = (random() & 1) != 0;
    cpu.*(&Probe::D) = random() % 4 == 0;
    cpu.*(&Probe::I) = (random() & 1) != 0;
    cpu.*(&Probe::notZ) = (random() & 1) != 0;
    cpu.*(&Probe::C) = (random() & 1) != 0;
    cpu.*(&Probe::myExecutionStatus) = 0;
  }
  static void set_pc(ale::stella::M6502& cpu, std::uint16_t pc) { cpu.*(&Probe::PC) = pc; }
  static std::uint16_t pc(ale::stella::M6502& cpu) { return cpu.*(&Probe::PC); }
};

// A console with a game whose ROM is overwritten.
class Machine {
 public:
  Machine(const std::string& game, bool fast) : fast_(fast) {
    ale::Logger::setMode(ale::Logger::Error);
    ale_.setInt("random_seed", 1);
    ale_.setBool("color_averaging", false);
    ale_.loadROM(std::string(ACTORMIMIC_TEST_ROMS) + "/" + game + ".bin");
    auto* cartridge = dynamic_cast<ale::stella::Cartridge*>(system().getPageAccess(0x40).device);
    image_ = cartridge->getImage(size_);
    const std::string_view name = cartridge->name();
    has_ram_ = name == "CartridgeF6SC" || name == "CartridgeF8SC";
    if (name == "CartridgeDPC") {
      // Its image is a copy, and ends in what only its chip reads.
      constexpr int kBank = 0x1000, kShown = 0x100;
      size_ = cartridge->bankCount() * kBank;
      image_ = system().getPageAccess((0x1000 + kShown) >> 6).directPeekBase - kShown -
               cartridge->bank() * kBank;
    }
    start_ = save();
  }

  System& system() { return ale_.theOSystem->console().system(); }
  int size() const { return size_; }

  // The ROM is decoded when a processor is installed, so that comes after it is written.
  void load(const std::string& rom, unsigned seed) {
    std::copy(rom.begin(), rom.end(), image_);
    system().reset();  // what ALE's saved states leave out
    ale::stella::Deserializer start(start_);
    CHECK(system().loadState("", start));
    std::mt19937 random(seed);
    for (unsigned address = 0x80; address < 0x100; ++address)
      system().poke(static_cast<std::uint16_t>(address), static_cast<std::uint8_t>(random()));
    for (unsigned address = 0x04; address < 0x2d; ++address)
      system().poke(static_cast<std::uint16_t>(address), static_cast<std::uint8_t>(random()));
    system().poke(static_cast<std::uint16_t>(0x294 + random() % 4),
                  static_cast<std::uint8_t>(random()));
    if (fast_) CHECK(actormimic::vcs::Processor::install_in(system()));
    Probe::set(system().m6502(), random);
  }

  // Begins the program at `pc`, which must be what was loaded; pages that the cartridge looks
  // through cannot tell, and where it has RAM nothing was.
  void set_pc(const std::string& rom, int pc) {
    if (pc >= 0) Probe::set_pc(system().m6502(), static_cast<std::uint16_t>(pc));
    const unsigned at = Probe::pc(system().m6502());
    const std::uint8_t* const page =
        system().getPageAccess(static_cast<std::uint16_t>((at & 0x1fff) >> 6)).directPeekBase;
    if (page == nullptr || (has_ram_ && (at & 0xfff) < kRamEnd)) return;
    const auto offset = static_cast<std::size_t>(page + (at & 0x3f) - image_);
    CHECK(offset < rom.size() && rom[offset] == static_cast<char>(page[at & 0x3f]));
  }

  std::string save() {
    ale::stella::Serializer out;
    system().saveState("", out);
    return out.get_str();
  }

 private:
  static constexpr unsigned kRamEnd = 0x100;

  bool fast_;
  bool has_ram_ = false;
  ale::ALEInterface ale_;
  int size_ = 0;
  std::uint8_t* image_ = nullptr;
  std::string start_;
};

std::string random_rom(int size, std::mt19937& random, bool documented_only) {
  std::set<std::uint8_t> documented;
#define V(opcode, mnemonic, mode, cycles) documented.insert(opcode);
  ACTORMIMIC_6502_DOCUMENTED(V)
#undef V
  std::string rom(static_cast<std::size_t>(size), '\0');
  for (char& byte : rom) {
    auto value = static_cast<std::uint8_t>(random());
    const auto bad = [&] {
      return documented_only ? documented.count(value) == 0
                             : std::count(std::begin(kJams), std::end(kJams), value) != 0;
    };
    while (bad()) value = static_cast<std::uint8_t>(random());
    byte = static_cast<char>(value);
  }
  return rom;
}

class Pair {
 public:
  explicit Pair(const std::string& game) : stock_(game, false), fast_(game, true) {}

  // Whether both arrive at the same state after `instructions`.
  bool agree(const std::string& rom, unsigned seed, int pc, std::uint32_t instructions) {
    for (Machine* machine : {&stock_, &fast_}) {
      machine->load(rom, seed);
      machine->set_pc(rom, pc);
    }
    return go_on(instructions);
  }
  bool go_on(std::uint32_t instructions) {
    fine_ = stock_.system().m6502().execute(instructions);
    if (fast_.system().m6502().execute(instructions) != fine_) return false;
    return stock_.save() == fast_.save();
  }
  bool fine() const { return fine_; }  // not jammed
  int size() const { return stock_.size(); }
  std::string state() { return fast_.save(); }

 private:
  Machine stock_, fast_;
  bool fine_ = true;
};

}  // namespace

TEST(every_opcode_alone) {
  std::mt19937 random(1);
  Pair pair("pong");
  for (int opcode = 0; opcode < 256; ++opcode) {
    if (std::count(std::begin(kJams), std::end(kJams), opcode) != 0) continue;
    int wrong = 0;
    for (int trial = 0; trial < 60; ++trial) {
      std::string rom = random_rom(pair.size(), random, false);
      const int place = static_cast<int>(random() % 0x7f0);
      rom[static_cast<std::size_t>(place)] = static_cast<char>(opcode);
      // Often near the ends of pages and of the zero page, where addresses wrap.
      if (trial % 3 == 0) rom[static_cast<std::size_t>(place) + 1] = static_cast<char>(0xff);
      if (!pair.agree(rom, random(), 0xf000 + place, 1)) ++wrong;
    }
    if (wrong != 0) std::fprintf(stderr, "opcode %02x: %d of 60 trials differ\n", opcode, wrong);
    CHECK(wrong == 0);
  }
}

// The same through the loop over the decoded ROM. Blocks of eight bytes end in a jump to another,
// so that the loop goes on, and counts, until little more than the straight run is left.
TEST(every_documented_opcode_decoded) {
  std::mt19937 random(2);
  Pair pair("pong");
  std::set<int> opcodes;
#define V(opcode, mnemonic, mode, cycles) opcodes.insert(opcode);
  ACTORMIMIC_6502_DOCUMENTED(V)
#undef V
  for (const int opcode : opcodes) {
    int wrong = 0;
    for (int trial = 0; trial < 40; ++trial) {
      std::string rom(static_cast<std::size_t>(pair.size()), static_cast<char>(0xea));
      constexpr unsigned kBlock = 8, kBlocks = 0xfe;
      const auto block = [&random] { return 0xf000 + random() % kBlocks * kBlock; };
      for (std::size_t place = 0; place < kBlocks * kBlock; place += kBlock) {
        const auto next = block();
        rom[place] = static_cast<char>(opcode);
        rom[place + 1] = static_cast<char>(random());
        rom[place + 2] = static_cast<char>(random());
        rom[place + 5] = static_cast<char>(0x4c);
        rom[place + 6] = static_cast<char>(next);
        rom[place + 7] = static_cast<char>(next >> 8);
      }
      const std::uint32_t count = actormimic::vcs::kLongestStraightRun + 1 + random() % 1000;
      if (!pair.agree(rom, random(), static_cast<int>(block()), count)) ++wrong;
    }
    if (wrong != 0) std::fprintf(stderr, "opcode %02x: %d of 40 trials differ\n", opcode, wrong);
    CHECK(wrong == 0);
  }
}

// pong has 2 KiB without banks, seaquest 4 KiB, asteroids two banks, crossbow four, frogger slices;
// elevator_action has two banks and RAM, darkchambers four and RAM; robotank chooses banks by
// address, and pitfall2 has a chip in its cartridge.
TEST(random_programs) {
  for (const char* game : {"pong", "seaquest", "asteroids", "crossbow", "frogger",
                           "elevator_action", "darkchambers", "robotank", "pitfall2"}) {
    std::mt19937 random(3);
    Pair pair(game);
    int wrong = 0;
    for (int trial = 0; trial < 100; ++trial) {
      const std::string rom = random_rom(pair.size(), random, trial % 2 == 0);
      const std::uint32_t count = actormimic::vcs::kLongestStraightRun + 1000 + random() % 3000;
      if (!pair.agree(rom, random(), -1, count)) ++wrong;
    }
    if (wrong != 0) std::fprintf(stderr, "%s: %d of 100 programs differ\n", game, wrong);
    CHECK(wrong == 0);
  }
}

// Loops that only wait are not gone round one by one, but must end, and be cut off by the count, as
// if they were. The timer is set anew after each, to whatever was read, by another divider.
TEST(waiting_for_the_timer) {
  std::mt19937 random(5);
  for (const char* game : {"pong", "tutankham"}) {
    Pair pair(game);
    int wrong = 0;
    for (int trial = 0; trial < 600; ++trial) {
      std::string rom(static_cast<std::size_t>(pair.size()), static_cast<char>(0xea));
      // In the last bank and slice, tutankham's beside its hotspots, too.
      const std::size_t end = rom.size() - (trial % 2 == 0 ? 0x60 : 0x38);
      constexpr int kLoads[] = {0xad, 0xae, 0xac, 0x2c}, kBranches[] = {0xd0, 0x10, 0x30, 0xf0};
      const auto timer = static_cast<int>(0x284 + (random() % 2 == 0 ? 0 : random() % 4));
      const auto start = static_cast<int>(0xf000 | (end & 0xfff));
      const int code[] = {kLoads[random() % 4],
                          timer & 0xff,
                          timer >> 8,
                          kBranches[random() % 4],
                          0xfb,
                          0x69,
                          static_cast<int>(random() % 256),
                          0x8d,
                          static_cast<int>(0x94 + random() % 4),
                          0x02,
                          0x4c,
                          start & 0xff,
                          start >> 8};
      for (std::size_t i = 0; i < std::size(code); ++i) rom[end + i] = static_cast<char>(code[i]);
      const std::uint32_t count = actormimic::vcs::kLongestStraightRun + 1 + random() % 20000;
      if (!pair.agree(rom, random(), start, count)) ++wrong;
    }
    if (wrong != 0) std::fprintf(stderr, "%s: %d of 600 loops differ\n", game, wrong);
    CHECK(wrong == 0);
  }
}

TEST(what_it_cannot_serve_keeps_its_processor) {
  Machine machine("pong", false);
  System& system = machine.system();
  const ale::stella::M6502* const stock = &system.m6502();
  // A cartridge that listens at the TIA's addresses.
  const System::PageAccess tia = system.getPageAccess(0), cartridge = system.getPageAccess(0x40);
  system.setPageAccess(0, {nullptr, nullptr, cartridge.device});
  CHECK(!actormimic::vcs::Processor::install_in(system));
  system.setPageAccess(0, tia);
  // No cartridge at all.
  system.setPageAccess(0x40, {nullptr, nullptr, &system.nullDevice()});
  CHECK(!actormimic::vcs::Processor::install_in(system));
  CHECK(&system.m6502() == stock);
  system.setPageAccess(0x40, cartridge);
  CHECK(actormimic::vcs::Processor::install_in(system));
  CHECK(&system.m6502() != stock);
}

TEST(a_jammed_processor_stays_jammed) {
  std::mt19937 random(4);
  Pair pair("pong");
  std::string rom = random_rom(pair.size(), random, true);
  rom[0] = static_cast<char>(0x02);
  CHECK(pair.agree(rom, 5, 0xf000, 100));
  const std::string jammed = pair.state();
  for (const std::uint32_t count : {100u, 70000u}) {
    CHECK(!pair.fine());
    CHECK(pair.go_on(count));
    CHECK(pair.state() == jammed);
  }
}

std::string nothing_but(int size, const std::string& code, std::size_t at) {
  std::string rom(static_cast<std::size_t>(size), static_cast<char>(0xea));
  rom.replace(at, code.size(), code);
  return rom;
}

// The DPC moves its random numbers on with each access to its last page.
TEST(a_jam_fetches_its_opcode_once) {
  Pair pair("pitfall2");
  for (const std::uint8_t jam : kJams) {
    const std::string code{static_cast<char>(jam)};
    for (const int place : {0xfd0, 0xe00})
      for (const std::size_t bank : {0x0000u, 0x1000u})
        CHECK(pair.agree(nothing_but(pair.size(), code, bank + static_cast<unsigned>(place)), 1,
                         0xf000 + place, 0x2000));
  }
}

// Its registers lie in the page in which its ROM begins, and are executed as they answer.
TEST(a_branch_into_a_chip_leaves_the_rom) {
  std::mt19937 random(8);
  Pair pair("pitfall2");
  for (int trial = 0; trial < 60; ++trial) {
    const int target = 0x14 + static_cast<int>(random() % 0x6c);  // as far back as branches go
    const std::string branches{static_cast<char>(0xd0), static_cast<char>(target - 0x92),
                               static_cast<char>(0xf0), static_cast<char>(target - 0x94)};
    std::string rom = random_rom(pair.size(), random, true);
    for (const std::size_t bank : {0x0000u, 0x1000u}) rom.replace(bank + 0x90, 4, branches);
    CHECK(pair.agree(rom, random(), 0xf090, actormimic::vcs::kLongestStraightRun + 1000));
  }
}

// ALE's own count of instructions goes further than ours.
TEST(more_instructions_than_it_counts) {
  std::mt19937 random(6);
  Pair pair("seaquest");
  for (int trial = 0; trial < 5; ++trial)
    CHECK(pair.agree(random_rom(pair.size(), random, true), random(), -1, 70000));
}
