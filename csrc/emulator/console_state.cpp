// Saved states of a console. ALE's own hold neither the sticky action nor the pictures, nor where
// the TIA stands in its mask tables; two pools would drift apart after a restore.
#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "ale/emucore/Cart.hxx"
#include "ale/emucore/Deserializer.hxx"
#include "ale/emucore/Serializer.hxx"
#include "emulator/console_impl.hpp"
#include "emulator/lost_state.hpp"
#include "emulator/saved_machine.hpp"
#include "emulator/tia_access.hpp"
#include "emulator/vcs/bus.hpp"
#include "emulator/vcs/riot.hpp"

namespace ale {
namespace stella {
namespace {

using actormimic::vcs::kLineClocks;
using actormimic::vcs::kPictureBytes;
using actormimic::vcs::kPixels;

std::int64_t checked(std::int64_t offset, std::size_t size) {
  actormimic::require(0 <= offset && offset < static_cast<std::int64_t>(size),
                      "the saved state is damaged: offset ", offset, " of ", size);
  return offset;
}

// A mask pointer as an offset into its table, or into the table of a disabled object.
struct Place {
  std::int32_t disabled;
  std::int32_t offset;
};

template <typename Table, typename Disabled>
Place place(const std::uint8_t* mask, const Table& table, const Disabled& disabled) {
  const auto* begin = reinterpret_cast<const std::uint8_t*>(&table);
  if (mask >= begin && mask < begin + sizeof table)
    return {0, static_cast<std::int32_t>(mask - begin)};
  return {1, static_cast<std::int32_t>(mask - disabled)};
}

// A line of masks is read from here on. A table's rows are two lines long and come in four copies,
// for the positions of an object modulo four; see vcs/tia_loan.cpp.
template <typename Table, typename Disabled>
const std::uint8_t* at(Place place, const Table& table, const Disabled& disabled) {
  if (place.disabled != 0) return disabled + checked(place.offset, sizeof disabled - kPixels + 1);
  const std::int64_t offset = checked(place.offset, sizeof table);
  const std::int64_t copy = offset / static_cast<std::int64_t>(sizeof table / 4);
  const std::int64_t start = offset % (2 * kPixels);
  actormimic::require(start % 4 == 0 && start <= kPixels && (start > 0 || copy == 0),
                      "the saved state is damaged: mask offset ", offset);
  return reinterpret_cast<const std::uint8_t*>(&table) + offset;
}

Device* device_at(System& system, unsigned address) {
  return system
      .getPageAccess(static_cast<std::uint16_t>(address >> actormimic::vcs::Bus::kPageShift))
      .device;
}

void require_in(const char* name, std::int64_t value, std::int64_t low, std::int64_t high) {
  actormimic::require(low <= value && value <= high, "the saved state is damaged: ", name, " ",
                      value);
}

}  // namespace

bool TIADebug::unfinished(const TIA& tia) { return tia.myPartialFrameFlag; }

void TIADebug::save(const TIA& tia, actormimic::StateWriter& out) {
  const auto& disabled = TIA::ourDisabledMaskTable;
  out.put_flag(tia.myPartialFrameFlag);
  out.put_flag(tia.myFrameGreyed);
  out.put<std::int64_t>(tia.myFramePointer - tia.myCurrentFrameBuffer);
  out.put_bytes(tia.myCurrentFrameBuffer, kPictureBytes);
  out.put_bytes(tia.myPreviousFrameBuffer, kPictureBytes);
  out.put(place(tia.myCurrentBLMask, TIA::ourBallMaskTable, disabled));
  out.put(place(tia.myCurrentM0Mask, TIA::ourMissleMaskTable, disabled));
  out.put(place(tia.myCurrentM1Mask, TIA::ourMissleMaskTable, disabled));
  out.put(place(tia.myCurrentP0Mask, TIA::ourPlayerMaskTable, disabled));
  out.put(place(tia.myCurrentP1Mask, TIA::ourPlayerMaskTable, disabled));
  out.put<std::int64_t>(tia.myCurrentPFMask - &TIA::ourPlayfieldTable[0][0]);
}

void TIADebug::load(TIA& tia, actormimic::StateReader& in) {
  const auto& disabled = TIA::ourDisabledMaskTable;
  tia.myPartialFrameFlag = in.get_flag();
  tia.myFrameGreyed = in.get_flag();
  tia.myFramePointer =
      tia.myCurrentFrameBuffer + checked(in.get<std::int64_t>(), kPictureBytes + 1);
  in.get_bytes(tia.myCurrentFrameBuffer, kPictureBytes);
  in.get_bytes(tia.myPreviousFrameBuffer, kPictureBytes);
  tia.myCurrentBLMask = at(in.get<Place>(), TIA::ourBallMaskTable, disabled);
  tia.myCurrentM0Mask = at(in.get<Place>(), TIA::ourMissleMaskTable, disabled);
  tia.myCurrentM1Mask = at(in.get<Place>(), TIA::ourMissleMaskTable, disabled);
  tia.myCurrentP0Mask = at(in.get<Place>(), TIA::ourPlayerMaskTable, disabled);
  tia.myCurrentP1Mask = at(in.get<Place>(), TIA::ourPlayerMaskTable, disabled);
  const auto playfield = in.get<std::int64_t>();
  actormimic::require(playfield == 0 || playfield == kPixels,
                      "the saved state is damaged: playfield offset ", playfield);
  tia.myCurrentPFMask = &TIA::ourPlayfieldTable[0][0] + playfield;
  require_possible(tia);
}

// ALE trusts its saved states. What no console can have would be read and written out of bounds.
void TIADebug::require_possible(const TIA& tia) {
  for (const int position : {tia.myPOSP0, tia.myPOSP1, tia.myPOSM0, tia.myPOSM1, tia.myPOSBL})
    require_in("position", position, 0, kPixels - 1);
  for (const int motion : {tia.myHMP0, tia.myHMP1, tia.myHMM0, tia.myHMM1, tia.myHMBL})
    require_in("motion", motion, 0, 15);
  if (!tia.myPartialFrameFlag) return;  // a new frame sets all of the following

  const std::int64_t start = tia.myClockWhenFrameStarted, now = tia.myClockAtLastUpdate;
  require_in("frame start", start, 1 - kLineClocks, 0);
  const std::int64_t display = start + tia.myStartDisplayOffset;
  const std::int64_t stop = start + tia.myStopDisplayOffset;
  require_in("display start", tia.myClockStartDisplay, display, display);
  require_in("display stop", tia.myClockStopDisplay, stop, stop);
  require_in("beam clock", now, start, stop);
  const std::int64_t left = tia.myClocksToEndOfScanLine;
  require_in("clocks to the line's end", left, 0, kLineClocks);
  require_in("clocks between lines", (now + left - start) % kLineClocks, 0, 0);
  // The lines still to be drawn must find room in the picture.
  const std::int64_t lines = (stop - (now + left)) / kLineClocks + 1;
  const std::int64_t row = tia.myFramePointer - tia.myCurrentFrameBuffer -
                           std::clamp<std::int64_t>(kPixels - left, 0, kPixels);
  require_in("pixels between rows", row % kPixels, 0, 0);
  require_in("row", row / kPixels, 0, kPictureBytes / kPixels - lines);
}

}  // namespace stella
}  // namespace ale

namespace actormimic {

bool Pictures::unfinished(const ale::stella::TIA& tia) {
  return ale::stella::TIADebug::unfinished(tia);
}
void Pictures::save(const ale::stella::TIA& tia, StateWriter& out) {
  ale::stella::TIADebug::save(tia, out);
}
void Pictures::load(ale::stella::TIA& tia, StateReader& in) {
  ale::stella::TIADebug::load(tia, in);
}

using ale::stella::device_at;
using ale::stella::require_in;

ale::stella::Cartridge& Console::Impl::cartridge() const {
  return dynamic_cast<ale::stella::Cartridge&>(*device_at(*system, 0x1000));
}

std::string Console::Impl::save_machine() const {
  require_savable(cartridge().name());
  ale::stella::Serializer out;
  try {
    ensure(system->saveState(md5, out), "ALE could not save its state");
    game->saveState(out);
    sticky_random->saveState(out);
  } catch (const char* problem) {  // ALE's streams throw their messages bare
    throw std::runtime_error(problem);
  }
  return out.get_str();
}

void Console::Impl::check_machine(const std::string& machine) const {
  ale::stella::Serializer sticky;
  sticky_random->saveState(sticky);
  require_readable_machine(machine, save_machine(), sticky.get_str().size(), cartridge().name());
}

void Console::Impl::load_machine(const std::string& machine) {
  try {
    ale::stella::Deserializer in(machine);
    require(system->loadState(md5, in), "ALE cannot read it");
    game->loadState(in);
    sticky_random->loadState(in);
  } catch (const char* problem) {  // as above
    throw std::invalid_argument(detail::join("the saved state is damaged: ", problem));
  } catch (const std::exception& problem) {
    throw std::invalid_argument(detail::join("the saved state is damaged: ", problem.what()));
  }
  map_saved_slices(machine, cartridge());
  auto* const riot = dynamic_cast<ale::stella::M6532*>(device_at(*system, 0x280));
  if (riot != nullptr) vcs::Riot(*riot).require_possible();  // else ALE's own emulation runs
}

void Console::Impl::check_counters(const std::string& bytes) {
  struct Counters {
    std::int32_t left_paddle, right_paddle, frame, episode_frame, mode, difficulty;
    std::int32_t text_length;  // of what ALE puts in only when it saves a machine
    std::int32_t paddle_min, paddle_max;
  } own, saved;
  const std::string own_bytes = state.serialize();
  ensure(own_bytes.size() == sizeof own, "ALE's counters have ", own_bytes.size(), " bytes");
  require(bytes.size() == sizeof saved, "the saved state is damaged: ", bytes.size(),
          " bytes of counters");
  std::memcpy(&own, own_bytes.data(), sizeof own);
  std::memcpy(&saved, bytes.data(), sizeof saved);
  require_in("length of a text", saved.text_length, 0, 0);
  require_in("lowest paddle", saved.paddle_min, own.paddle_min, own.paddle_min);
  require_in("highest paddle", saved.paddle_max, own.paddle_max, own.paddle_max);
  for (const std::int32_t paddle : {saved.left_paddle, saved.right_paddle})
    require_in("paddle", paddle, own.paddle_min, own.paddle_max);
  require_in("frame number", saved.frame, 0, kMostFrames);
  require_in("frame number of the episode", saved.episode_frame, 0, saved.frame);
  // They are the console's for good; a reset would go on with those of the state.
  require_in("mode", saved.mode, own.mode, own.mode);
  require_in("difficulty", saved.difficulty, own.difficulty, own.difficulty);
}

void Console::save(StateWriter& out) const {
  Impl& c = *impl_;
  c.require_playable();
  const std::string machine = c.save_machine();
  ensure_readable_machine(machine);
  ensure(c.state.getFrameNumber() <= kMostFrames,
         "the state would be refused when it is loaded: frame number ", c.state.getFrameNumber(),
         " since the console was switched on");
  out.put_string(c.md5);
  out.put_string(machine);
  out.put_string(c.state.serialize());
  out.put(c.held_action);
  out.put(c.held_strength);
  LostState(*c.game, c.cartridge()).save(out);
  Pictures::save(*c.tia, out);
}

void Console::load(StateReader& in) {
  Impl& c = *impl_;
  c.require_loaded();
  require(in.get_string() == c.md5, "the saved state is of another game");
  const std::string machine = in.get_string(), counters = in.get_string();
  c.check_machine(machine);
  c.check_counters(counters);
  const int held_action = in.get<int>();
  require_range("held action of the saved state", held_action, 0, kActions - 1);
  const auto held_strength = in.get<float>();
  require_range("held strength of the saved state", held_strength, 0.0f, 1.0f);
  LostState lost(*c.game, c.cartridge());
  lost.read(in);
  // The rest shows only in the chips themselves.
  c.half_loaded = true;
  c.load_machine(machine);
  lost.give_back();
  Pictures::load(*c.tia, in);
  c.state = ale::ALEState(counters);
  c.held_action = held_action;
  c.held_strength = held_strength;
  c.half_loaded = false;
  // The data bus holds the last byte of RAM between frames; see console.cpp.
  c.system->peek(kLastRamAddress);
}

}  // namespace actormimic
