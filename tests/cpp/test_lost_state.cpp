// What ALE's own saved states lose, in consoles that take over a state from another one: they have
// to go on as that does, whatever they did before.
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "check.hpp"
#include "saved_console.hpp"

using namespace actormimic;

namespace {

// What a player sees of a frame besides its picture.
struct Outcome {
  int reward;
  bool over;
  int lives;
  bool operator==(const Outcome& other) const {
    return reward == other.reward && over == other.over && lives == other.lives;
  }
};

Outcome outcome(Console& console, int action = 0) {
  const int reward = console.act(action, 1.0f);
  return {reward, console.game_over(), console.lives()};
}

// The next frame of a console that has been made and no more, and of the one that was played, once
// both have loaded the state.
bool comes_to(Played& played, const std::string& game, int mode, const State& state,
              const Outcome& expected) {
  Console fresh(choice_of(game, mode), 0.0f, Emulation::kFast);
  CHECK(state.load_into(fresh).empty());
  CHECK(state.load_into(played.console).empty());
  CHECK(outcome(played.console) == expected);
  return outcome(fresh) == expected;
}

// Another moment of the same game takes over a state and goes on as the first one does.
TEST(clock_and_scores_are_kept) {
  for (const char* game : {"pitfall2", "miniature_golf"}) {
    Played first(Emulation::kFast, game), second(Emulation::kStock, game);
    for (int round = 0; round < 10; ++round) {
      first.play(3);
      second.play(11);
      CHECK(State(first.console).load_into(second.console).empty());
      first.play(12);
      second.play(12);
      CHECK(State(first.console) == State(second.console));
    }
  }
  Played played(Emulation::kFast, "pitfall2");
  const State state(played.console);
  CHECK(played.takes(state.with_music_clock(0.5)));
  CHECK(played.refuses(state.with_music_clock(1.0), "music clock 1"));
  CHECK(played.refuses(state.with_music_clock(-0.5), "music clock -0.5"));
}

// Only what the rules remember tells what the next frame is worth; the RAM is set so that it does.
TEST(rules_remember_what_was_before) {
  {  // White has no piece left, which decides the game, but not for whom.
    constexpr int kReverse = 11;
    Played played(Emulation::kFast, "video_checkers", kReverse);
    State state(played.console);
    for (unsigned square = 0x80; square <= 0xa2; ++square) state = state.with_ram(square, 0x10);
    CHECK(comes_to(played, "video_checkers", kReverse, state, {-1, true, 0}));
    Played usual(Emulation::kFast, "video_checkers", 1);
    state = State(usual.console);
    for (unsigned square = 0x80; square <= 0xa2; ++square) state = state.with_ram(square, 0x10);
    CHECK(comes_to(usual, "video_checkers", 1, state, {1, true, 0}));
  }
  // A timer that comes to its end.
  struct Timer {
    const char* game;
    unsigned address;
    int reward;
  };
  for (const Timer& timer : {Timer{"hangman", 0xf1, 0}, Timer{"video_cube", 0xdb, -1}}) {
    Played played(Emulation::kFast, timer.game);
    for (int frame = 0; frame < 60; ++frame) played.console.act(0, 1.0f);  // moves set it back
    CHECK(State(played.console).with_ram(timer.address, 0xff).load_into(played.console).empty());
    played.console.act(0, 1.0f);
    CHECK(comes_to(played, timer.game, -1, State(played.console).with_ram(timer.address, 0),
                   {timer.reward, true, 0}));
  }
  {  // Without lives the game is over once the helicopter has turned to the right, and not before.
    Played played(Emulation::kFast, "chopper_command");
    const State lost = State(played.console).with_ram(0xe4, 0).with_ram(0xc2, 0);
    CHECK(comes_to(played, "chopper_command", -1, lost, {0, true, 0}));
    CHECK(comes_to(played, "chopper_command", -1, lost.with_rule(1, 0, 0), {0, false, 0}));
  }
}

TEST(lives_are_known_before_the_next_frame) {
  Played played(Emulation::kFast, "atlantis2");
  Console fresh(choice_of("atlantis2"), 0.0f, Emulation::kFast);
  CHECK(fresh.lives() == 6);
  CHECK(State(played.console).with_rule(1, 0, 4).load_into(fresh).empty());
  CHECK(fresh.lives() == 4);
}

TEST(numbers_of_the_rules_are_possible) {
  Played cube(Emulation::kFast, "video_cube"), checkers(Emulation::kFast, "video_checkers");
  const State of_cube(cube.console), of_checkers(checkers.console);
  for (const int timer : {0, 255}) CHECK(cube.takes(of_cube.with_rule(2, 1, timer)));
  for (const int timer : {-1, 256})
    CHECK(cube.refuses(of_cube.with_rule(2, 1, timer),
                       "number 1 of the game's rules is " + std::to_string(timer)));
  CHECK(checkers.takes(of_checkers.with_rule(1, 0, 1)));
  CHECK(checkers.refuses(of_checkers.with_rule(1, 0, 2), "number 0 of the game's rules is 2"));
}

// Every game, taken over by a console that was never reset.
TEST(games_go_on_in_a_new_console) {
  std::vector<std::string> games;
  for (const auto& file : std::filesystem::directory_iterator(ACTORMIMIC_TEST_ROMS)) {
    const std::string name = file.path().stem().string();
    // ALE itself cannot load these.
    if (name == "combat" || name == "joust" || name == "maze_craze" || name == "warlords") continue;
    if (file.path().extension() == ".bin") games.push_back(name);
  }
  std::sort(games.begin(), games.end());
  CHECK(games.size() == 104);
  for (const std::string& game : games) {
    Played played(Emulation::kFast, game);
    Console fresh(choice_of(game), 0.0f, Emulation::kFast);
    CHECK(State(played.console).load_into(fresh).empty());
    bool same =
        fresh.lives() == played.console.lives() && fresh.game_over() == played.console.game_over();
    for (int frame = 0; frame < 20; ++frame)
      same = outcome(fresh, frame % 6) == outcome(played.console, frame % 6) && same;
    same = State(fresh) == State(played.console) && same;
    if (!same) std::fprintf(stderr, "%s goes on otherwise\n", game.c_str());
    CHECK(same);
  }
}

}  // namespace
