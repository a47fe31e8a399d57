// Consoles on threads of their own, made and played all at once: each arrives where it does alone.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "check.hpp"
#include "emulator/console.hpp"
#include "emulator/vcs/program.hpp"

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

// A thread that decodes a ROM when the process forks stays with the parent, and must not leave the
// child before a lock that nobody opens.
TEST(a_child_of_a_fork_decodes_too) {
  const auto decode = [](unsigned number) {
    const std::string rom = std::to_string(number) + std::string(0x100, 'x');
    vcs::Program(reinterpret_cast<const std::uint8_t*>(rom.data()), 0x100,
                 {"Cartridge4K", 0x100, 1, 0, 0, false});
  };
  std::atomic<bool> done{false};
  std::thread decoding([&] {
    for (unsigned number = 0; !done; ++number) decode(number);
  });
  bool fine = true;
  for (int round = 0; round < 200 && fine; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);
      decode(0);
      _exit(0);
    }
    int status = -1;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    fine = status == 0;
  }
  CHECK(fine);
  done = true;
  decoding.join();
}

}  // namespace
