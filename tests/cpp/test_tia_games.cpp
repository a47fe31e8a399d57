// Whole games on our TIA and on ALE's, with ALE's own 6502 and every byte of state compared.
//
// ACTORMIMIC_TIA_FRAMES=20000 test_tia_games plays every ROM for so many frames, and
// ACTORMIMIC_TIA_SEED=8 with other actions.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "ale_machine.hpp"
#include "check.hpp"
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

// Plays both for so many frames; answers the first frame at which they differ, or -1.
int play(const std::string& name, int frames, unsigned seed, const vcs::PixelLoops& loops) {
  Machine stock(rom_path(name)), ours(rom_path(name));
  ours.use(new Processor(loops));
  std::mt19937 random(seed);
  int action = 0;
  float strength = 1.0f;
  // Of some frames ago, when both were alike. Each goes back to the other's; both at once, because
  // a cartridge may save itself rounded.
  std::unique_ptr<SavedState> of_stock, of_ours;
  for (int frame = 0; frame < frames; ++frame) {
    if (random() % 4 == 0) {
      action = static_cast<int>(random() % 18);
      strength = static_cast<float>(random() % 1000) / 1000.0f;
    }
    if (random() % 900 == 0) {
      stock.reset();
      ours.reset();
    }
    if (random() % 100 == 0 && of_stock != nullptr) {
      of_ours->load(stock);
      of_stock->load(ours);
    }
    // ALE's own saved states, too, but not within a frame, where ALE writes out of bounds then.
    if (random() % 100 == 0 && of_stock != nullptr && !TIADebug::unfinished(stock.system->tia())) {
      of_ours->load_machine(stock);
      of_stock->load_machine(ours);
    }
    if (random() % 50 == 0) {
      of_stock = std::make_unique<SavedState>(stock);
      of_ours = std::make_unique<SavedState>(ours);
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

// Games that between them use everything: VSYNC before the display's end (journey_escape), frames
// cut short (tic_tac_toe_3d, qbert), PAL (adventure), paddles, playfields rewritten within a line.
const char* const kSelection[] = {"pong",   "breakout",  "seaquest",         "space_invaders",
                                  "enduro", "atlantis",  "journey_escape",   "tic_tac_toe_3d",
                                  "qbert",  "adventure", "montezuma_revenge"};

std::vector<std::string> all_games() {
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(ACTORMIMIC_TEST_ROMS)) {
    const std::string name = file.path().stem().string();
    // ALE itself cannot load these.
    if (name == "combat" || name == "joust" || name == "maze_craze" || name == "warlords") continue;
    if (file.path().extension() == ".bin") names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

TEST(games) {
  const char* const frames = std::getenv("ACTORMIMIC_TIA_FRAMES");
  const char* const seed = std::getenv("ACTORMIMIC_TIA_SEED");
  if (frames != nullptr) {
    const std::vector<std::string> names = all_games();
    for (const std::string& name : names)
      CHECK(play(name, std::atoi(frames), seed != nullptr ? std::atoi(seed) : 7,
                 vcs::best_loops()) == -1);
    std::printf("  %zu games played for %s frames\n", names.size(), frames);
    return;
  }
  for (const char* name : kSelection) {
    CHECK(play(name, 300, 1, vcs::best_loops()) == -1);
    CHECK(play(name, 100, 2, vcs::plain_loops()) == -1);
  }
}

}  // namespace
