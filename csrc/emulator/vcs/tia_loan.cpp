// Moving the TIA's state from ALE's object into ours and back.
#include <algorithm>
#include <cstring>

#include "ale/emucore/Console.hxx"
#include "ale/emucore/Control.hxx"
#include "emulator/tia_access.hpp"

namespace ale {
namespace stella {
namespace {

using actormimic::vcs::kNowhere;
using actormimic::vcs::kPixels;
using actormimic::vcs::MaskPlace;
using actormimic::vcs::ObjectMasks;

// ALE's mask tables hold four copies of a row, each a pixel further right, so that it can read four
// masks at once; its pointers tell the row, the copy and how far into it: [copies][rows][320].
constexpr int kAleRow = 2 * kPixels;

// Which of our rows a table begins with, and how many it has.
struct Rows {
  int first, count;
};
constexpr Rows kPlayerRows{0, ObjectMasks::kFirstMissile};
constexpr Rows kMissileRows{ObjectMasks::kFirstMissile, ObjectMasks::kModes * ObjectMasks::kSizes};
constexpr Rows kBallRows{ObjectMasks::kFirstMissile, ObjectMasks::kSizes};

template <typename Table>
MaskPlace place_of(const std::uint8_t* mask, const Table& table, Rows rows) {
  const auto* const begin = reinterpret_cast<const std::uint8_t*>(&table);
  if (mask < begin || mask >= begin + sizeof table) return kNowhere;  // in the disabled one
  const auto offset = static_cast<int>(mask - begin);
  const int row = offset / kAleRow % rows.count, copy = offset / kAleRow / rows.count;
  const int position = kPixels - offset % kAleRow + copy;  // console_state.cpp refuses others
  return static_cast<MaskPlace>((rows.first + row) * ObjectMasks::kRow + kPixels - position);
}

template <typename Table, typename Disabled>
const std::uint8_t* mask_at(MaskPlace place, const Table& table, Rows rows,
                            const Disabled& disabled) {
  if (place == kNowhere) return disabled;
  const int row = place / ObjectMasks::kRow - rows.first;
  const int position = kPixels - place % ObjectMasks::kRow, copy = position & 3;
  return reinterpret_cast<const std::uint8_t*>(&table) + (copy * rows.count + row) * kAleRow +
         kPixels - (position - copy);
}

std::uint8_t nibble(std::int8_t motion) { return static_cast<std::uint8_t>(motion); }

}  // namespace

std::uint32_t TIADebug::cycles_to_charge(int resistance) {
  using actormimic::vcs::Tia;
  if (resistance == Controller::minimumResistance) return Tia::kShorted;
  if (resistance == Controller::maximumResistance) return Tia::kOpen;
  const double seconds = 1.6 * resistance * 0.01E-6;
  return static_cast<std::uint32_t>(seconds * 1.19E6);
}

void TIADebug::lend(TIA& tia, actormimic::vcs::Tia& to) {
  using actormimic::vcs::Tia;
  for (int n = 0; n < 2; ++n) {
    Controller& port = tia.myConsole.controller(n == 0 ? Controller::Left : Controller::Right);
    to.trigger_up_[n] = port.read(Controller::Six);
    to.charge_[2 * n] = cycles_to_charge(port.read(Controller::Nine));
    to.charge_[2 * n + 1] = cycles_to_charge(port.read(Controller::Five));
  }
  to.sound_ = tia.mySound;
  to.picture_ = tia.myCurrentFrameBuffer;

  to.frame_start_ = tia.myClockWhenFrameStarted;
  to.start_cycle_ = static_cast<std::uint32_t>(tia.myClockWhenFrameStarted / 3);
  to.display_start_ = tia.myClockStartDisplay;
  to.display_stop_ = tia.myClockStopDisplay;
  to.drawn_ = to.reached_ = tia.myClockAtLastUpdate;
  to.line_end_ = tia.myClockAtLastUpdate + tia.myClocksToEndOfScanLine;
  to.last_cycle_ =
      (tia.myClockWhenFrameStarted + (tia.myMaximumNumberOfScanlines + 1) * 228 + 2) / 3;
  to.display_cycle_ =
      std::max(to.display_start_ - actormimic::vcs::kLongestDelay, to.frame_start_) / 3;
  to.vsync_finish_ = tia.myVSYNCFinishClock;
  to.motion_clock_ = tia.myLastHMOVEClock;
  to.dumped_ = tia.myDumpEnabled;
  to.dump_end_ = tia.myDumpDisabledCycle;

  to.vsync_ = tia.myVSYNC;
  to.vblank_ = tia.myVBLANK;
  to.ctrlpf_ = tia.myCTRLPF;
  to.collisions_ = tia.myCollision;
  to.color_loss_ =
      tia.myColorLossEnabled && (tia.myScanlineCountForLastFrame & 1) != 0 ? 0x01 : 0x00;
  to.allow_blanks_ = tia.myAllowHMOVEBlanks;
  to.blank_ = tia.myHMOVEBlankEnabled;
  to.star_field_ = tia.myM0CosmicArkMotionEnabled;
  to.star_counter_ = tia.myM0CosmicArkCounter;

  to.player_[0] = {tia.myGRP0,  tia.myDGRP0,  tia.myNUSIZ0, nibble(tia.myHMP0),
                   tia.myREFP0, tia.myVDELP0, tia.myPOSP0,  0};
  to.player_[1] = {tia.myGRP1,  tia.myDGRP1,  tia.myNUSIZ1, nibble(tia.myHMP1),
                   tia.myREFP1, tia.myVDELP1, tia.myPOSP1,  0};
  to.missile_[0] = {tia.myENAM0,
                    tia.myRESMP0,
                    nibble(tia.myHMM0),
                    tia.myPOSM0,
                    0,
                    place_of(tia.myCurrentM0Mask, TIA::ourMissleMaskTable, kMissileRows)};
  to.missile_[1] = {tia.myENAM1,
                    tia.myRESMP1,
                    nibble(tia.myHMM1),
                    tia.myPOSM1,
                    0,
                    place_of(tia.myCurrentM1Mask, TIA::ourMissleMaskTable, kMissileRows)};
  to.ball_ = {tia.myENABL,
              tia.myDENABL,
              tia.myVDELBL,
              nibble(tia.myHMBL),
              tia.myPOSBL,
              0,
              place_of(tia.myCurrentBLMask, TIA::ourBallMaskTable, kBallRows)};

  actormimic::vcs::Scene& scene = to.scene_;
  scene.player[0] = place_of(tia.myCurrentP0Mask, TIA::ourPlayerMaskTable, kPlayerRows);
  scene.player[1] = place_of(tia.myCurrentP1Mask, TIA::ourPlayerMaskTable, kPlayerRows);
  scene.objects = tia.myEnabledObjects & 0x3f;
  scene.missile[0] = (scene.objects & TIA::myM0Bit) != 0 ? to.missile_[0].place : kNowhere;
  scene.missile[1] = (scene.objects & TIA::myM1Bit) != 0 ? to.missile_[1].place : kNowhere;
  scene.ball = (scene.objects & TIA::myBLBit) != 0 ? to.ball_.place : kNowhere;
  scene.graphics[0] = tia.myCurrentGRP0;
  scene.graphics[1] = tia.myCurrentGRP1;
  scene.background = static_cast<std::uint8_t>(tia.myCOLUBK);
  scene.playfield_color = static_cast<std::uint8_t>(tia.myCOLUPF);
  scene.player_color[0] = static_cast<std::uint8_t>(tia.myCOLUP0);
  scene.player_color[1] = static_cast<std::uint8_t>(tia.myCOLUP1);
  scene.control = tia.myPlayfieldPriorityAndScore;
  scene.reflected = tia.myCurrentPFMask == TIA::ourPlayfieldTable[1];
  scene.dark = (tia.myVBLANK & 2) != 0;
  const std::uint8_t middle = actormimic::vcs::kReversedBits.of[tia.myPF >> 4 & 0xff];
  scene.playfield = (tia.myPF & 0xff00f) | static_cast<std::uint32_t>(middle) << 4;

  for (int n = 0; n < 2; ++n) {
    to.player_[n].shape = actormimic::vcs::player_shape(to.player_[n].nusiz, false);
    to.missile_[n].shape = actormimic::vcs::missile_shape(to.player_[n].nusiz);
  }
  to.ball_.shape = actormimic::vcs::ball_shape(to.ctrlpf_);

  to.crossing_.dark = true;  // nothing overshoots from before
  to.blank_seen_ = false;
  to.motion_reached_ = to.reached_;
  to.blanked_row_ = nullptr;
  to.moving_ = true;
  to.line_matters_ = true;
  to.playfield_stale_ = true;
  to.stopped_ = false;
  std::fill(std::begin(to.rewrite_), std::end(to.rewrite_), Tia::kAlways);
  to.row_ = tia.myFramePointer - to.pixels_drawn();
  if (to.row_lies_in_picture()) std::memcpy(to.line_, to.row_, kPixels);
  to.watch();
  to.nothing_until_ = std::max(to.drawn_, to.display_start_ - 1);
}

void TIADebug::take_back(TIA& tia, const actormimic::vcs::Tia& from) {
  tia.myClockAtLastUpdate = from.drawn_;
  tia.myClocksToEndOfScanLine = from.line_end_ - from.drawn_;
  tia.myFramePointer = from.row_ + from.pixels_drawn();
  if (from.stopped_) tia.myPartialFrameFlag = false;
  tia.myVSYNCFinishClock = from.vsync_finish_;
  tia.myLastHMOVEClock = from.motion_clock_;
  tia.myDumpEnabled = from.dumped_;
  tia.myDumpDisabledCycle = from.dump_end_;

  tia.myVSYNC = from.vsync_;
  tia.myVBLANK = from.vblank_;
  tia.myCTRLPF = from.ctrlpf_;
  tia.myCollision = from.collisions_;
  tia.myHMOVEBlankEnabled = from.blank_;
  tia.myM0CosmicArkMotionEnabled = from.star_field_;
  tia.myM0CosmicArkCounter = from.star_counter_;

  const auto& [player0, player1] = from.player_;
  tia.myGRP0 = player0.graphics;
  tia.myGRP1 = player1.graphics;
  tia.myDGRP0 = player0.delayed;
  tia.myDGRP1 = player1.delayed;
  tia.myNUSIZ0 = player0.nusiz;
  tia.myNUSIZ1 = player1.nusiz;
  tia.myHMP0 = static_cast<std::int8_t>(player0.motion);
  tia.myHMP1 = static_cast<std::int8_t>(player1.motion);
  tia.myREFP0 = player0.reflected;
  tia.myREFP1 = player1.reflected;
  tia.myVDELP0 = player0.vertical_delay;
  tia.myVDELP1 = player1.vertical_delay;
  tia.myPOSP0 = player0.position;
  tia.myPOSP1 = player1.position;

  const auto& disabled = TIA::ourDisabledMaskTable;
  const auto& [missile0, missile1] = from.missile_;
  tia.myENAM0 = missile0.enabled;
  tia.myENAM1 = missile1.enabled;
  tia.myRESMP0 = missile0.locked;
  tia.myRESMP1 = missile1.locked;
  tia.myHMM0 = static_cast<std::int8_t>(missile0.motion);
  tia.myHMM1 = static_cast<std::int8_t>(missile1.motion);
  tia.myPOSM0 = missile0.position;
  tia.myPOSM1 = missile1.position;
  tia.myCurrentM0Mask = mask_at(missile0.place, TIA::ourMissleMaskTable, kMissileRows, disabled);
  tia.myCurrentM1Mask = mask_at(missile1.place, TIA::ourMissleMaskTable, kMissileRows, disabled);

  tia.myENABL = from.ball_.enabled;
  tia.myDENABL = from.ball_.delayed;
  tia.myVDELBL = from.ball_.vertical_delay;
  tia.myHMBL = static_cast<std::int8_t>(from.ball_.motion);
  tia.myPOSBL = from.ball_.position;
  tia.myCurrentBLMask = mask_at(from.ball_.place, TIA::ourBallMaskTable, kBallRows, disabled);

  const actormimic::vcs::Scene& scene = from.scene_;
  tia.myCurrentP0Mask = mask_at(scene.player[0], TIA::ourPlayerMaskTable, kPlayerRows, disabled);
  tia.myCurrentP1Mask = mask_at(scene.player[1], TIA::ourPlayerMaskTable, kPlayerRows, disabled);
  tia.myEnabledObjects = scene.objects;
  tia.myCurrentGRP0 = scene.graphics[0];
  tia.myCurrentGRP1 = scene.graphics[1];
  constexpr std::uint32_t kFourTimes = 0x01010101;
  tia.myCOLUBK = scene.background * kFourTimes;
  tia.myCOLUPF = scene.playfield_color * kFourTimes;
  tia.myCOLUP0 = scene.player_color[0] * kFourTimes;
  tia.myCOLUP1 = scene.player_color[1] * kFourTimes;
  tia.myPlayfieldPriorityAndScore = scene.control;
  tia.myCurrentPFMask = TIA::ourPlayfieldTable[scene.reflected ? 1 : 0];
  const std::uint8_t middle = actormimic::vcs::kReversedBits.of[scene.playfield >> 4 & 0xff];
  tia.myPF = (scene.playfield & 0xff00f) | static_cast<std::uint32_t>(middle) << 4;
}

}  // namespace stella
}  // namespace ale

namespace actormimic::vcs {

using ale::stella::TIADebug;

Tia::Tia(const PixelLoops& loops) : loops_(&loops) {
  std::memset(line_, 0, sizeof line_);
  std::memset(playfield_row_, 0, sizeof playfield_row_);
}

void Tia::borrow(ale::stella::TIA& tia) {
  tia_ = &tia;
  TIADebug::lend(tia, *this);
}

void Tia::give_back() {
  if (reached_ >= display_start_) draw_due();
  leave_line();
  TIADebug::take_back(*tia_, *this);
}

}  // namespace actormimic::vcs
