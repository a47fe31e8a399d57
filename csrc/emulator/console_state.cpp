// Saved states of a console. ALE's own hold neither the sticky action nor the pictures, nor where
// the TIA stands in its mask tables; two pools would drift apart after a restore.
#include <limits>
#include <stdexcept>

#include "ale/emucore/Deserializer.hxx"
#include "ale/emucore/Serializer.hxx"
#include "emulator/console_impl.hpp"
#include "emulator/tia_access.hpp"

namespace ale {
namespace stella {
namespace {

constexpr std::size_t kPictureBytes = 160 * 300;

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

template <typename Table, typename Disabled>
const std::uint8_t* at(Place place, const Table& table, const Disabled& disabled) {
  if (place.disabled != 0) return disabled + checked(place.offset, sizeof disabled);
  return reinterpret_cast<const std::uint8_t*>(&table) + checked(place.offset, sizeof table);
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
  tia.myCurrentPFMask = &TIA::ourPlayfieldTable[0][0] +
                        checked(in.get<std::int64_t>(), sizeof TIA::ourPlayfieldTable / 4);
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

void Console::save(StateWriter& out) const {
  Impl& c = *impl_;
  c.require_loaded();
  ale::stella::Serializer ale_state;
  try {
    ensure(c.system->saveState(c.md5, ale_state), "ALE could not save its state");
    c.game->saveState(ale_state);
    c.sticky_random->saveState(ale_state);
  } catch (const char* problem) {  // ALE's streams throw their messages bare
    throw std::runtime_error(problem);
  }
  out.put_string(c.md5);
  out.put_string(ale_state.get_str());
  out.put_string(c.state.serialize());
  out.put(c.held_action);
  out.put(c.held_strength);
  Pictures::save(*c.tia, out);
}

void Console::load(StateReader& in) {
  Impl& c = *impl_;
  c.require_loaded();
  require(in.get_string() == c.md5, "the saved state is of another game");
  const std::string machine = in.get_string();
  const std::string counters = in.get_string();
  try {
    ale::stella::Deserializer ale_state(machine);
    require(c.system->loadState(c.md5, ale_state), "ALE cannot read it");
    c.game->loadState(ale_state);
    c.sticky_random->loadState(ale_state);
    c.state = ale::ALEState(counters);
  } catch (const char* problem) {  // ALE's streams throw their messages bare
    throw std::invalid_argument(detail::join("the saved state is damaged: ", problem));
  } catch (const std::exception& problem) {
    throw std::invalid_argument(detail::join("the saved state is damaged: ", problem.what()));
  }
  require_range("frame number of the saved state", c.state.getFrameNumber(), 0,
                std::numeric_limits<int>::max());
  c.held_action = in.get<int>();
  require_range("held action of the saved state", c.held_action, 0, kActions - 1);
  c.held_strength = in.get<float>();
  require_range("held strength of the saved state", c.held_strength, 0.0f, 1.0f);
  Pictures::load(*c.tia, in);
  // The data bus holds the last byte of RAM between frames; see console.cpp.
  c.system->peek(0xff);
}

}  // namespace actormimic
