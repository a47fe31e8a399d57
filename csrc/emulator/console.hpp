// One Atari 2600 with a game in it, driven frame by frame. ALE stays behind this header.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../frame/frame_processor.hpp"
#include "../frame/palette.hpp"
#include "state_stream.hpp"

namespace actormimic {

inline constexpr int kActions = 18;  // ALE's joystick actions, 0 (no-op) to 17 (down-left-fire)
inline constexpr int kRamBytes = 128;
// Frames that a console or an episode may have counted when it is saved and loaded.
inline constexpr int kMostFrames = 2000000000;

const char* ale_version();  // "0.12.1"

struct GameChoice {
  std::string name;  // for messages
  std::string rom_path;
  int mode = -1;        // -1: the game's own default
  int difficulty = -1;  // -1: the console's default, 0
};

// Who emulates the frames: ALE's own code, or ours (vcs/), which arrives at the same bytes sooner.
enum class Emulation { kFast, kStock };

// Behaves frame for frame as ALE's ALEInterface with frame_skip 1, but copies neither screen nor
// RAM unless asked. Not thread-safe; different consoles may run in different threads. Where it has
// no game, since power_on() failed, all but power_on() and the frame numbers throw
// std::runtime_error.
class Console {
 public:
  // Loads the ROM, which may be compressed by gzip. Throws std::invalid_argument for a file that is
  // missing, no cartridge or not a supported game and for a mode or difficulty that the game does
  // not have. A cartridge of a kind that only ALE's own emulation serves has that, whatever
  // `emulation` says; emulation() tells.
  Console(const GameChoice& game, float repeat_action_probability, Emulation emulation);
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  // Switches the console off and on with a new seed (-1: from the clock), rereading the ROM file.
  // Throws std::runtime_error if the file has gone or changed.
  void power_on(int seed);
  // Starts the game anew, as the console's own switch would.
  void reset();
  // Emulates one frame and returns its reward. `action` is ALE's number, `strength` (0 to 1) how
  // far a paddle turns. After the game's end it does nothing and returns 0. Throws
  // std::runtime_error while a state is half loaded.
  int act(int action, float strength);

  Emulation emulation() const;  // the one that runs
  bool game_over() const;
  int lives() const;
  int frame_number() const;          // since the console was switched on
  int episode_frame_number() const;  // since the last reset

  // Color indices of the newest frame, screen_shape() of them; valid until the next call that
  // emulates.
  const std::uint8_t* screen() const;
  // The frame before it, unless screen_stays() was false before the newest one was made.
  const std::uint8_t* previous_screen() const;
  // Whether the next frame will leave screen() as it is, for previous_screen() to find. A game that
  // did not finish its frame in time goes on drawing into the same picture.
  bool screen_stays() const;
  FrameShape screen_shape() const;
  Palette palette() const;
  void copy_ram(std::uint8_t* out) const;  // kRamBytes

  std::vector<int> minimal_actions() const;  // ALE's numbers, ascending

  // Everything that later frames depend on, the held sticky action included. Throws
  // std::invalid_argument for a kind of cartridge that no game which comes with ALE has, and
  // std::runtime_error while a state is half loaded and where load() would refuse what is written:
  // after more than kMostFrames, and where a program has not finished its frame for thousands.
  void save(StateWriter& out) const;
  // Throws std::invalid_argument for a state of another game, mode or difficulty or a damaged one.
  // Where the damage shows only in chips that are loaded already, the console is half loaded until
  // the next reset(), power_on() or load() that succeeds.
  void load(StateReader& in);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace actormimic
