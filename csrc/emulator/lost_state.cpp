#include "emulator/lost_state.hpp"

#include <cstddef>
#include <type_traits>

#include "ale/emucore/CartDPC.hxx"
#include "ale/games/supported/Atlantis2.hpp"
#include "ale/games/supported/ChopperCommand.hpp"
#include "ale/games/supported/Hangman.hpp"
#include "ale/games/supported/MiniatureGolf.hpp"
#include "ale/games/supported/VideoCheckers.hpp"
#include "ale/games/supported/VideoCube.hpp"
#include "common/check.hpp"
#include "emulator/ale_private.hpp"

namespace actormimic {

using TwoFrames = int[2];

ACTORMIMIC_REVEAL(MusicClock, stella::CartridgeDPC, myFractionalClocks, double)
ACTORMIMIC_REVEAL(AtlantisLives, Atlantis2Settings, m_lives, int)
ACTORMIMIC_REVEAL(ChopperStarted, ChopperCommandSettings, m_is_started, bool)
ACTORMIMIC_REVEAL(HangmanTimers, HangmanSettings, m_timerArray, TwoFrames)
ACTORMIMIC_REVEAL(GolfLevel, MiniatureGolfSettings, m_levelNumber, int)
ACTORMIMIC_REVEAL(GolfPar, MiniatureGolfSettings, m_levelPar, int)
ACTORMIMIC_REVEAL(GolfHits, MiniatureGolfSettings, m_hits, int)
ACTORMIMIC_REVEAL(GolfLeftStatus, MiniatureGolfSettings, m_leftStatus, int)
ACTORMIMIC_REVEAL(GolfHitsBefore, MiniatureGolfSettings, m_hitsAtStartOfLevel, int)
ACTORMIMIC_REVEAL(CheckersReversed, VideoCheckersSettings, m_reverse_checkers, bool)
ACTORMIMIC_REVEAL(CubeTimers, VideoCubeSettings, m_timerArray, TwoFrames)

namespace {

constexpr int kByte = 255;
constexpr int kTwoDigits = 165;  // as ALE reads a byte that holds no decimal number
constexpr int kMostHits = 1 << 30;

// A member of a game's rules, and what it may be.
template <typename Member>
struct Lost {
  Member member;
  int least, most;
};
template <typename Member>
Lost(Member, int, int) -> Lost<Member>;

// Calls visit(number, least, most) for each number in these members, if the game is of this class.
template <typename Game, typename Visit, typename... Members>
void visit_members(ale::RomSettings& game, const Visit& visit, const Lost<Members>&... lost) {
  auto* const rules = dynamic_cast<Game*>(&game);
  if (rules == nullptr) return;
  const auto visit_one = [&](auto& member, int least, int most) {
    if constexpr (std::is_array_v<std::remove_reference_t<decltype(member)>>) {
      for (auto& number : member) visit(number, least, most);
    } else {
      visit(member, least, most);
    }
  };
  (visit_one(rules->*lost.member, lost.least, lost.most), ...);
}

// All that ALE's games remember and their saveState() leaves out, but for what has one value
// whenever a frame is over: Demon Attack's m_level_change and River Raid's m_lives.
template <typename Visit>
void visit_rules(ale::RomSettings& game, const Visit& visit) {
  visit_members<ale::Atlantis2Settings>(game, visit, Lost{reveal(AtlantisLives{}), 0, kByte});
  visit_members<ale::ChopperCommandSettings>(game, visit, Lost{reveal(ChopperStarted{}), 0, 1});
  visit_members<ale::HangmanSettings>(game, visit, Lost{reveal(HangmanTimers{}), -1, kByte});
  visit_members<ale::MiniatureGolfSettings>(
      game, visit, Lost{reveal(GolfLevel{}), 0, kTwoDigits}, Lost{reveal(GolfPar{}), 0, kTwoDigits},
      Lost{reveal(GolfHits{}), 0, kMostHits}, Lost{reveal(GolfLeftStatus{}), 0, kTwoDigits},
      Lost{reveal(GolfHitsBefore{}), 0, kTwoDigits});
  visit_members<ale::VideoCheckersSettings>(game, visit, Lost{reveal(CheckersReversed{}), 0, 1});
  visit_members<ale::VideoCubeSettings>(game, visit, Lost{reveal(CubeTimers{}), 0, kByte});
}

double* music_clock(ale::stella::Cartridge& cartridge) {
  auto* const dpc = dynamic_cast<ale::stella::CartridgeDPC*>(&cartridge);
  return dpc == nullptr ? nullptr : &(dpc->*reveal(MusicClock{}));
}

}  // namespace

void LostState::save(StateWriter& out) const {
  if (const double* const clock = music_clock(cartridge_)) out.put(*clock);
  visit_rules(game_, [&out](auto number, int, int) { out.put<std::int32_t>(number); });
}

void LostState::read(StateReader& in) {
  if (music_clock(cartridge_) != nullptr) {
    music_clock_ = in.get<double>();
    require(0.0 <= music_clock_ && music_clock_ < 1.0, "the saved state is damaged: music clock ",
            music_clock_);
  }
  rules_.clear();
  visit_rules(game_, [&](auto, int least, int most) {
    const auto number = in.get<std::int32_t>();
    require(least <= number && number <= most, "the saved state is damaged: number ", rules_.size(),
            " of the game's rules is ", number);
    rules_.push_back(number);
  });
}

void LostState::give_back() const {
  if (double* const clock = music_clock(cartridge_)) *clock = music_clock_;
  std::size_t next = 0;
  visit_rules(game_, [&](auto& number, int, int) {
    number = static_cast<std::remove_reference_t<decltype(number)>>(rules_[next++]);
  });
}

}  // namespace actormimic
