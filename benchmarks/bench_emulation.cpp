// Times frames of a game on ALE's own emulation and on ours, in turns, on one thread. Both play the
// same random actions, with random paddle strengths.
//
//     bench_emulation FRAMES ROUNDS ROM...
//
// Prints one JSON object per game: the medians over rounds of the processor seconds per frame of
// both, and the median of their ratios. Resets are not timed.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "ale/ale_interface.hpp"
#include "ale/common/Log.hpp"
#include "ale/emucore/Console.hxx"
#include "ale/emucore/OSystem.hxx"
#include "ale/environment/stella_environment.hpp"
#include "arguments.hpp"
#include "emulator/paddles.hpp"
#include "emulator/vcs/processor.hpp"

namespace {

double processor_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// One game, driven as an environment drives it: no copies of screen and RAM.
class Player {
 public:
  Player(const std::string& rom, bool fast) {
    ale_.setInt("random_seed", 1);
    ale_.setBool("color_averaging", false);
    ale_.loadROM(rom);
    ale::stella::Console& console = ale_.theOSystem->console();
    if (fast && !actormimic::vcs::Processor::install_in(console.system())) {
      std::fprintf(stderr, "%s: only ALE's own emulation serves it\n", rom.c_str());
      std::exit(1);
    }
    paddles_ = actormimic::has_paddles(console.properties());
    media_ = &console.mediaSource();
    system_ = &console.system();
    event_ = ale_.theOSystem->event();
    state_ = ale_.environment->getState();
  }

  double play(int frames) {
    double seconds = 0;
    while (frames > 0) {
      const double begin = processor_seconds();
      for (; frames > 0 && !ale_.romSettings->isTerminal(); --frames) {
        if (frames % 8 == 0) choose();
        press();
        media_->update();
        ale_.romSettings->step(*system_);
      }
      seconds += processor_seconds() - begin;
      if (frames > 0) ale_.reset_game();
    }
    return seconds;
  }

 private:
  void choose() {
    action_ = static_cast<int>(random_() % 18);
    strength_ = static_cast<float>(random_() % 1001) / 1000.0f;
  }
  // Without its paddle a game such as breakout never serves a ball, and stands still.
  void press() {
    if (paddles_)
      state_.applyActionPaddles(event_, action_, strength_, ale::PLAYER_B_NOOP, 0.0f);
    else
      state_.applyActionJoysticks(event_, action_, ale::PLAYER_B_NOOP);
  }

  ale::ALEInterface ale_;
  ale::stella::MediaSource* media_;
  ale::stella::System* system_;
  ale::stella::Event* event_;
  ale::ALEState state_;
  std::mt19937 random_{1};
  bool paddles_ = false;
  int action_ = 0;
  float strength_ = 1.0f;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 != 0 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: bench_emulation FRAMES ROUNDS ROM...\n");
    return 2;
  }
  const int frames = count_of("FRAMES", argv[1]), rounds = count_of("ROUNDS", argv[2]);
  ale::Logger::setMode(ale::Logger::Error);
  for (int i = 3; i < argc; ++i) {
    Player stock(argv[i], false), fast(argv[i], true);
    stock.play(frames / 4);
    fast.play(frames / 4);
    std::vector<double> stock_seconds, fast_seconds, ratios;
    for (int round = 0; round < rounds; ++round) {
      stock_seconds.push_back(stock.play(frames));
      fast_seconds.push_back(fast.play(frames));
      ratios.push_back(stock_seconds.back() / fast_seconds.back());
    }
    std::printf("{\"game\": \"%s\", \"ratio\": %.3f, \"stock_us\": %.2f, \"fast_us\": %.2f}\n",
                std::filesystem::path(argv[i]).stem().c_str(), median(ratios),
                1e6 * median(stock_seconds) / frames, 1e6 * median(fast_seconds) / frames);
    std::fflush(stdout);
  }
}
