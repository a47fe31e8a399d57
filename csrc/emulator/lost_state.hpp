// What a machine as ALE saves it has lost. The DPC's music clock is rounded to a hundred millionth;
// of the scores from which Miniature Golf's rewards follow only whether they are 0 is kept; and
// other games' rules forget some of what they remember from frame to frame.
#pragma once

#include <cstdint>
#include <vector>

#include "emulator/state_stream.hpp"

namespace ale {
class RomSettings;
namespace stella {
class Cartridge;
}
}  // namespace ale

namespace actormimic {

class LostState {
 public:
  LostState(ale::RomSettings& game, ale::stella::Cartridge& cartridge)
      : game_(game), cartridge_(cartridge) {}

  void save(StateWriter& out) const;
  // Throws std::invalid_argument for what the game or the cartridge never has, with nothing
  // changed.
  void read(StateReader& in);
  // What was read. Once ALE has loaded the machine, which puts there what it kept.
  void give_back() const;

 private:
  ale::RomSettings& game_;
  ale::stella::Cartridge& cartridge_;
  double music_clock_ = 0.0;
  std::vector<std::int32_t> rules_;
};

}  // namespace actormimic
