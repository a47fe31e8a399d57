// Plays games on ALE's own emulation and on ours side by side, and compares them at every frame.
//
//     exact_emulation FRAMES PAIR_FRAMES SEED THREADS ROM...
//
// Random actions and paddle strengths, sticky actions, resets in the middle of games, half of them
// with a mode and a difficulty drawn from those that the game offers, each put back into an older
// saved state of the other. After FRAMES frames, PAIR_FRAMES more from a reset into every pair of a
// mode and a difficulty. Compared are the screen, the RAM, the audio, reward, lives, game over and
// the frame numbers, and at every 32nd frame the whole state as ALE serializes it, registers and
// chips included. Prints one JSON object per game.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "ale/ale_interface.hpp"
#include "ale/common/Log.hpp"
#include "ale/emucore/Console.hxx"
#include "ale/emucore/OSystem.hxx"
#include "ale/environment/stella_environment.hpp"
#include "arguments.hpp"
#include "emulator/tia_access.hpp"
#include "emulator/vcs/processor.hpp"

namespace {

std::unique_ptr<ale::ALEInterface> console(const std::string& rom, int seed) {
  auto ale = std::make_unique<ale::ALEInterface>();
  ale->setInt("random_seed", seed);
  ale->setFloat("repeat_action_probability", 0.25f);
  ale->setBool("sound_obs", true);
  ale->setBool("color_averaging", false);
  ale->loadROM(rom);
  return ale;
}

struct Result {
  std::string game;
  int frames = 0;
  int pairs = 0;
  int resets = 0;
  int exchanges = 0;
  bool fast = false;
  std::string difference;
};

class Duel {
 public:
  Duel(const std::string& rom, unsigned seed) : random_(seed) {
    result_.game = std::filesystem::path(rom).stem().string();
    const int ale_seed = static_cast<int>(seed & 0xffff);
    stock_ = console(rom, ale_seed);
    fast_ = console(rom, ale_seed);
    ale::stella::System& system = fast_->theOSystem->console().system();
    result_.fast = actormimic::vcs::Processor::install_in(system);
    modes_ = stock_->getAvailableModes();
    difficulties_ = stock_->getAvailableDifficulties();
  }

  Result play(int frames, int pair_frames) {
    reset_anyhow();
    go_on(frames, &Duel::reset_anyhow);
    for (const auto mode : modes_) {
      for (const auto difficulty : difficulties_) {
        choose(mode, difficulty);
        reset();
        go_on(pair_frames, &Duel::reset);
        result_.pairs += result_.difference.empty() ? 1 : 0;
      }
    }
    return result_;
  }

 private:
  template <typename Call>
  void both(Call call) {
    call(*stock_);
    call(*fast_);
  }

  void go_on(int frames, void (Duel::*restart)()) {
    for (const int end = result_.frames + frames;
         result_.frames < end && result_.difference.empty();) {
      if (stock_->game_over() || random_() % 1500 == 0) (this->*restart)();
      if (random_() % 300 == 0) exchange();
      if (random_() % 100 == 0) keep_states();
      act();
      if (result_.frames % 32 == 0) compare_states();
    }
  }

  void choose(ale::game_mode_t mode, ale::difficulty_t difficulty) {
    both([&](auto& ale) {
      ale.setMode(mode);
      ale.setDifficulty(difficulty);
    });
  }

  void reset_anyhow() {
    if (random_() % 2 == 0)
      choose(modes_[random_() % modes_.size()], difficulties_[random_() % difficulties_.size()]);
    reset();
  }

  void reset() {
    both([](auto& ale) { ale.reset_game(); });
    ++result_.resets;
    compare_frame();
  }

  void act() {
    // Held for a while, so that games get somewhere.
    if (random_() % 6 == 0) action_ = static_cast<ale::Action>(random_() % 18);
    const float strength = static_cast<float>(random_() % 1001) / 1000.0f;
    const int expected = stock_->act(action_, strength);
    const int reward = fast_->act(action_, strength);
    ++result_.frames;
    if (reward != expected) differs("reward");
    compare_frame();
  }

  void keep_states() {
    compare_states();
    of_stock_ = stock_->cloneState(true);
    of_fast_ = fast_->cloneState(true);
  }

  // Each goes back to the state that the other was in some frames ago. Not within a frame, where
  // ALE would go on drawing out of bounds.
  void exchange() {
    auto& tia = stock_->theOSystem->console().system().tia();
    if (!of_stock_ || ale::stella::TIADebug::unfinished(tia)) return;
    stock_->restoreState(*of_fast_);
    fast_->restoreState(*of_stock_);
    ++result_.exchanges;
    compare_frame();
    compare_states();
  }

  void compare_frame() {
    const auto& screen = stock_->getScreen();
    if (std::memcmp(screen.getArray(), fast_->getScreen().getArray(), screen.arraySize()) != 0)
      differs("screen");
    if (!stock_->getRAM().equals(fast_->getRAM())) differs("RAM");
    if (stock_->getAudio() != fast_->getAudio()) differs("audio");
    if (stock_->lives() != fast_->lives()) differs("lives");
    if (stock_->game_over() != fast_->game_over()) differs("game over");
    if (stock_->getFrameNumber() != fast_->getFrameNumber()) differs("frame number");
    if (stock_->getEpisodeFrameNumber() != fast_->getEpisodeFrameNumber())
      differs("episode frame number");
  }
  void compare_states() {
    if (stock_->cloneState(true).serialize() != fast_->cloneState(true).serialize())
      differs("state");
  }

  void differs(const char* what) {
    if (!result_.difference.empty()) return;
    result_.difference = std::string(what) + " at frame " + std::to_string(result_.frames);
  }

  std::mt19937 random_;
  std::unique_ptr<ale::ALEInterface> stock_, fast_;
  std::optional<ale::ALEState> of_stock_, of_fast_;
  ale::ModeVect modes_;
  ale::DifficultyVect difficulties_;
  ale::Action action_ = ale::PLAYER_A_NOOP;
  Result result_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) {
    std::fprintf(stderr, "usage: exact_emulation FRAMES PAIR_FRAMES SEED THREADS ROM...\n");
    return 2;
  }
  const int frames = count_of("FRAMES", argv[1]), pair_frames = count_of("PAIR_FRAMES", argv[2]);
  const auto seed = static_cast<unsigned>(count_of("SEED", argv[3]));
  const int thread_count = count_of("THREADS", argv[4]);
  ale::Logger::setMode(ale::Logger::Error);
  std::atomic<int> next{5};
  std::atomic<int> wrong{0};
  std::mutex printing;
  const auto work = [&] {
    for (int i; (i = next++) < argc;) {
      const Result result =
          Duel(argv[i], seed + static_cast<unsigned>(i)).play(frames, pair_frames);
      if (!result.difference.empty()) ++wrong;
      const std::lock_guard<std::mutex> lock(printing);
      std::printf(
          "{\"game\": \"%s\", \"frames\": %d, \"pairs\": %d, \"resets\": %d, \"exchanges\": %d, "
          "\"emulation\": \"%s\", \"difference\": \"%s\"}\n",
          result.game.c_str(), result.frames, result.pairs, result.resets, result.exchanges,
          result.fast ? "fast" : "stock", result.difference.c_str());
      std::fflush(stdout);
    }
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < thread_count; ++t) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  return wrong == 0 ? 0 : 1;
}
