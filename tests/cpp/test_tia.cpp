// The TIA beside ALE's own: whole games and single registers, compared in every byte of state.
//
// ACTORMIMIC_TIA_FRAMES=20000 test_tia games plays every ROM for that long.
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "ale/ale_interface.hpp"
#include "ale/common/Log.hpp"
#include "ale/emucore/Console.hxx"
#include "ale/emucore/Deserializer.hxx"
#include "ale/emucore/M6502Low.hxx"
#include "ale/emucore/MediaSrc.hxx"
#include "ale/emucore/OSystem.hxx"
#include "ale/emucore/Props.hxx"
#include "ale/emucore/Serializer.hxx"
#include "check.hpp"
#include "emulator/tia_access.hpp"
#include "emulator/vcs/tia.hpp"

using namespace actormimic;
using ale::stella::System;
using ale::stella::TIADebug;

namespace {

// ALE's own 6502, with our TIA in the place of ALE's while it runs.
class Processor : public ale::stella::M6502Low, public ale::stella::Device {
 public:
  explicit Processor(const vcs::PixelLoops& loops) : M6502Low(1), tia_(loops) {}

  void install(System& system) override {
    M6502Low::install(system);
    system_ = &system;
  }
  bool execute(std::uint32_t number) override {
    plug(&system_->tia(), this);
    tia_.borrow(system_->tia());
    const bool fine = M6502Low::execute(number);
    tia_.give_back();
    plug(this, &system_->tia());
    return fine;
  }

  std::uint8_t peek(std::uint16_t address) override {
    return tia_.peek(address, system_->cycles(), system_->getDataBusState());
  }
  void poke(std::uint16_t address, std::uint8_t value) override {
    std::uint32_t cycle = system_->cycles();
    tia_.poke(address, value, cycle);
    const bool waits = (address & 0x3f) != vcs::kWsync || lastAccessWasRead();
    if (waits) system_->incrementCycles(cycle - system_->cycles());
    if (tia_.stopped()) stop();
  }

  const char* name() const override { return M6502Low::name(); }
  void reset() override { M6502Low::reset(); }
  bool save(ale::stella::Serializer& out) override { return M6502Low::save(out); }
  bool load(ale::stella::Deserializer& in) override { return M6502Low::load(in); }

 private:
  void plug(Device* from, Device* to) {
    for (std::uint16_t page = 0; page < system_->numberOfPages(); ++page) {
      System::PageAccess access = system_->getPageAccess(page);
      if (access.device != from) continue;
      access.device = to;
      system_->setPageAccess(page, access);
    }
  }

  System* system_ = nullptr;
  vcs::Tia tia_;
};

struct Machine {
  explicit Machine(const std::string& rom) {
    ale::Logger::setMode(ale::Logger::Error);
    ale = std::make_unique<ale::ALEInterface>();
    ale->setInt("random_seed", 3);
    ale->setFloat("repeat_action_probability", 0.0f);
    ale->loadROM(rom);
    console = &ale->theOSystem->console();
    system = &console->system();
    const auto& properties = console->properties();
    paddles = properties.get(ale::stella::Controller_Left) == "PADDLES" ||
              properties.get(ale::stella::Controller_Right) == "PADDLES";
    keys = ale->environment->getState();
  }

  // A cartridge that watches writes to the TIA stands before it.
  bool sees_every_write() { return system->getPageAccess(0).device == &system->tia(); }

  // The system owns it from here on.
  void use(ale::stella::M6502* ours) {
    ale::stella::M6502* const before = &system->m6502();
    ale::stella::Serializer registers;
    CHECK(before->save(registers));
    system->attach(ours);
    delete before;
    ale::stella::Deserializer in(registers.get_str());
    CHECK(ours->load(in));
  }

  void press(int action, float strength) {
    ale::stella::Event* event = ale->theOSystem->event();
    if (paddles)
      keys.applyActionPaddles(event, action, strength, ale::PLAYER_B_NOOP, 0.0f);
    else
      keys.applyActionJoysticks(event, action, ale::PLAYER_B_NOOP);
  }

  void reset() {
    ale->environment->setState(keys);
    ale->environment->reset();
    keys = ale->environment->getState();
  }

  std::unique_ptr<ale::ALEInterface> ale;
  ale::stella::Console* console;
  System* system;
  bool paddles;
  ale::ALEState keys;
};

// Everything: the machine as ALE saves it, the pictures and what else ALE leaves out.
struct SavedState {
  explicit SavedState(Machine& of) {
    ale::stella::Serializer system;
    CHECK(of.system->saveState("md5", system));
    machine = system.get_str();
    StateWriter out;
    TIADebug::save(of.system->tia(), out);
    pictures = out.take();
  }
  void load(Machine& into) const {
    ale::stella::Deserializer in(machine);
    CHECK(into.system->loadState("md5", in));
    StateReader reader(pictures.data(), pictures.size());
    TIADebug::load(into.system->tia(), reader);
  }
  bool operator==(const SavedState& other) const {
    return machine == other.machine && pictures == other.pictures;
  }

  std::string machine;
  std::string pictures;
};

// Saved states go both ways at once, because a cartridge may save itself rounded.
void exchange_states(Machine& a, Machine& b) {
  const SavedState of_a(a), of_b(b);
  of_a.load(b);
  of_b.load(a);
}

std::string rom_path(const std::string& name) {
  return std::string(ACTORMIMIC_TEST_ROMS) + "/" + name + ".bin";
}

// Plays both for so many frames; answers the first frame at which they differ, or -1.
int play(const std::string& name, int frames, unsigned seed, const vcs::PixelLoops& loops) {
  Machine stock(rom_path(name)), ours(rom_path(name));
  if (!stock.sees_every_write()) {
    std::printf("  %s: its cartridge stands before the TIA\n", name.c_str());
    return -1;
  }
  ours.use(new Processor(loops));
  std::mt19937 random(seed);
  int action = 0;
  float strength = 1.0f;
  for (int frame = 0; frame < frames; ++frame) {
    if (random() % 4 == 0) {
      action = static_cast<int>(random() % 18);
      strength = static_cast<float>(random() % 1000) / 1000.0f;
    }
    if (random() % 900 == 0) {
      stock.reset();
      ours.reset();
    }
    if (random() % 500 == 0) {
      exchange_states(ours, stock);
    }
    stock.press(action, strength);
    ours.press(action, strength);
    stock.console->mediaSource().update();
    ours.console->mediaSource().update();
    const SavedState expected(stock), got(ours);
    if (!(got == expected)) {
      std::printf("  %s: frame %d differs\n", name.c_str(), frame);
      return frame;
    }
  }
  return -1;
}

// One access to the TIA, or nothing where `reg` is kInterrupt.
struct Access {
  std::uint32_t cycles_before;
  std::uint8_t reg, value;
  bool read;
};
constexpr std::uint8_t kInterrupt = 0xff;

// No processor at all: makes accesses that it is given, to our TIA or to ALE's.
class Script : public ale::stella::M6502Low {
 public:
  explicit Script(const vcs::PixelLoops* loops) : M6502Low(1) {
    if (loops != nullptr) tia_ = std::make_unique<vcs::Tia>(*loops);
  }
  bool execute(std::uint32_t) override {
    ale::stella::TIA& ale_tia = mySystem->tia();
    myExecutionStatus = 0;
    myLastAccessWasRead = true;  // WSYNC waits
    reads.clear();
    if (tia_ != nullptr) tia_->borrow(ale_tia);
    for (const Access& access : *accesses) {
      mySystem->incrementCycles(access.cycles_before);
      std::uint32_t cycle = mySystem->cycles();
      if (access.reg == kInterrupt) {
        // Let ALE's TIA have its state for a moment.
        if (tia_ != nullptr) tia_->give_back();
        if (tia_ != nullptr) tia_->borrow(ale_tia);
      } else if (access.read) {
        reads.push_back(tia_ != nullptr ? tia_->peek(access.reg, cycle, 0x2a)
                                        : ale_tia.peek(access.reg));
      } else if (tia_ != nullptr) {
        tia_->poke(access.reg, access.value, cycle);
        mySystem->incrementCycles(cycle - mySystem->cycles());
        if (tia_->stopped()) stop();
      } else {
        ale_tia.poke(access.reg, access.value);
      }
      if ((myExecutionStatus & StopExecutionBit) != 0) break;
    }
    if (tia_ != nullptr) tia_->give_back();
    return true;
  }

  const std::vector<Access>* accesses = nullptr;
  std::vector<std::uint8_t> reads;

 private:
  std::unique_ptr<vcs::Tia> tia_;
};

// A frame of accesses as no sane program makes them: it may end by VSYNC anywhere, by too many
// lines, or be cut short without either.
std::vector<Access> random_frame(std::mt19937& random) {
  const auto below = [&random](unsigned n) { return static_cast<unsigned>(random() % n); };
  // Registers come in bursts, so that objects stay on for a while and writes repeat.
  static constexpr std::uint8_t kValues[] = {0x00, 0x00, 0x02, 0xff, 0x0f, 0x35, 0x08, 0x66, 0x71};
  const unsigned lines = below(3) == 0 ? 20 + below(280) : 262;
  const unsigned pace = 2 + below(below(4) == 0 ? 200 : 20);
  const unsigned blanks = 1 + below(40);
  std::vector<Access> frame;
  std::uint32_t cycles = 0;
  const auto add = [&](unsigned before, unsigned reg, unsigned value, bool read = false) {
    cycles += before;
    frame.push_back(
        {before, static_cast<std::uint8_t>(reg), static_cast<std::uint8_t>(value), read});
  };
  while (cycles < lines * 76) {
    const unsigned before = below(4) == 0 ? 0 : 2 + below(pace);
    const unsigned value = below(3) == 0 ? below(256) : kValues[below(sizeof kValues)];
    switch (below(16)) {
      case 0:
        add(before, below(16), 0, true);
        break;
      case 1:
        add(before, vcs::kWsync, value);
        cycles += 38;  // or so
        break;
      case 2:
        add(before, below(blanks) == 0 ? vcs::kVblank : vcs::kHmove, below(3) == 0 ? 2 : 0x80);
        break;
      case 3:
        // The star field of Cosmic Ark, where the timing is right.
        add(before, vcs::kHmm0, 0x70);
        add(3, vcs::kWsync, 0);
        add(3, vcs::kHmove, 0);
        add(21, vcs::kHmm0, 0x60);
        break;
      case 4:
        add(before, kInterrupt, 0);
        break;
      default:
        add(before, 0x04 + below(0x2a), value);
        break;
    }
  }
  if (below(4) != 0) {
    add(3, vcs::kVsync, 2);
    for (unsigned n = below(6); n > 0; --n) add(2 + below(30), 0x04 + below(0x2a), below(256));
    add(76 + below(100), vcs::kVsync, 0);
  }
  return frame;
}

// Answers the first frame that differs, or -1.
int play_script(const char* game, int frames, unsigned seed, const vcs::PixelLoops& loops) {
  Machine stock(rom_path(game)), ours(rom_path(game));
  auto* const expected = new Script(nullptr);
  auto* const got = new Script(&loops);
  stock.use(expected);
  ours.use(got);
  std::mt19937 random(seed);
  for (int frame = 0; frame < frames; ++frame) {
    const std::vector<Access> accesses = random_frame(random);
    expected->accesses = got->accesses = &accesses;
    // The bus holds the same byte for both, and floats in what they read.
    stock.system->poke(0x80, 0x2a);
    ours.system->poke(0x80, 0x2a);
    stock.console->mediaSource().update();
    ours.console->mediaSource().update();
    if (expected->reads != got->reads || !(SavedState(ours) == SavedState(stock))) return frame;
  }
  return -1;
}

TEST(random_accesses) {
  for (unsigned seed = 0; seed < 3; ++seed) {
    CHECK(play_script("pong", 200, seed, vcs::best_loops()) == -1);
    CHECK(play_script("seaquest", 200, seed, vcs::plain_loops()) == -1);
  }
}

// Games that between them use everything: VSYNC before the display's end (journey_escape), frames
// cut short (tic_tac_toe_3d, qbert), the star field (cosmic_ark has none in ALE's set), paddles,
// PAL, kernels that rewrite the playfield within a line.
const char* const kSelection[] = {"pong",   "breakout", "seaquest",         "space_invaders",
                                  "enduro", "atlantis", "journey_escape",   "tic_tac_toe_3d",
                                  "qbert",  "pitfall",  "montezuma_revenge"};

TEST(a_selection_of_games) {
  for (const char* name : kSelection) {
    CHECK(play(name, 300, 1, vcs::best_loops()) == -1);
    CHECK(play(name, 100, 2, vcs::plain_loops()) == -1);
  }
}

TEST(all_games_for_as_long_as_asked) {
  const char* frames = std::getenv("ACTORMIMIC_TIA_FRAMES");
  if (frames == nullptr) return;
  const char* only = std::getenv("ACTORMIMIC_TIA_GAME");
  const char* seed = std::getenv("ACTORMIMIC_TIA_SEED");
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(ACTORMIMIC_TEST_ROMS))
    if (file.path().extension() == ".bin") names.push_back(file.path().stem().string());
  std::sort(names.begin(), names.end());
  int played = 0;
  for (const std::string& name : names) {
    if (only != nullptr && name != only) continue;
    // ALE itself cannot load these.
    if (name == "combat" || name == "joust" || name == "maze_craze" || name == "warlords") continue;
    const int differs =
        play(name, std::atoi(frames), seed != nullptr ? std::atoi(seed) : 7, vcs::best_loops());
    CHECK(differs == -1);
    ++played;
  }
  std::printf("  %d games played for %s frames\n", played, frames);
  CHECK(played > 0);
}

}  // namespace
