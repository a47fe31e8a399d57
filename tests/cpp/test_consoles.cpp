// Consoles on threads of their own, made and played all at once: each arrives where it does alone.
#include <cstddef>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "check.hpp"
#include "emulator/console.hpp"

using namespace actormimic;

namespace {

// The same ROM twice, a cartridge with banks and one with a chip of its own.
const char* const kGames[] = {"pong", "pong", "asterix", "pitfall2"};

// The state in which a player of so many frames leaves the console, with a restore on the way.
std::string play(const std::string& game, Emulation emulation, int frames) {
  Console console({game, std::string(ACTORMIMIC_TEST_ROMS) + "/" + game + ".bin", -1, -1}, 0.25f,
                  emulation);
  console.power_on(7);
  console.reset();
  const auto saved = [&console] {
    StateWriter out;
    console.save(out);
    return out.take();
  };
  const auto act = [&](int pace) {
    for (int frame = 0; frame < frames; ++frame)
      console.act(frame / pace * 7 % kActions, static_cast<float>(frame % 11) / 10.0f);
  };
  const std::string begin = saved();
  act(5);
  const std::string first = saved();
  StateReader in(begin.data(), begin.size());
  console.load(in);
  act(3);
  return first + saved();
}

TEST(consoles_on_threads_arrive_where_they_do_alone) {
  constexpr int kFrames = 30;
  for (const Emulation emulation : {Emulation::kFast, Emulation::kStock}) {
    std::vector<std::string> alone, together(std::size(kGames));
    for (const char* game : kGames) alone.push_back(play(game, emulation, kFrames));
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < together.size(); ++i)
      threads.emplace_back([&, i] { together[i] = play(kGames[i], emulation, kFrames); });
    for (std::thread& thread : threads) thread.join();
    CHECK(together == alone);
  }
}

}  // namespace
