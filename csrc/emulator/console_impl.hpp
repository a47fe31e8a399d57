// What console.cpp and console_state.cpp share: ALE's objects. Included by nobody else.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "ale/ale_interface.hpp"
#include "ale/emucore/Cart.hxx"
#include "ale/emucore/Console.hxx"
#include "ale/emucore/M6502.hxx"
#include "ale/emucore/MediaSrc.hxx"
#include "ale/emucore/OSystem.hxx"
#include "ale/emucore/Props.hxx"
#include "ale/emucore/System.hxx"
#include "ale/emucore/TIA.hxx"
#include "ale/environment/ale_state.hpp"
#include "ale/environment/stella_environment.hpp"
#include "ale/games/RomSettings.hpp"
#include "emulator/console.hpp"

namespace actormimic {

// The last RAM address. Reading it leaves on the data bus what ALE leaves there when it copies the
// RAM after each frame; games see that value where they read an address nothing answers to.
inline constexpr std::uint16_t kLastRamAddress = 0xff;

struct Console::Impl {
  GameChoice choice;
  Emulation wanted = Emulation::kFast;
  Emulation emulation = Emulation::kStock;  // what runs, once a ROM is loaded
  std::unique_ptr<ale::ALEInterface> ale;
  // Found once after each power-on, so that a frame costs no look-up.
  ale::stella::OSystem* osystem = nullptr;
  ale::stella::System* system = nullptr;  // null while no ROM is loaded
  ale::stella::TIA* tia = nullptr;
  ale::stella::MediaSource* media = nullptr;
  ale::RomSettings* game = nullptr;
  ale::stella::Random* sticky_random = nullptr;
  std::string md5;  // of the cartridge in the ROM file, which may be compressed
  std::array<bool, kActions> legal{};
  bool paddles = false;
  float repeat_probability = 0.0f;
  // Frame counters and paddle positions; ALE's environment has its own copy only during a reset.
  ale::ALEState state;
  int held_action = 0;
  float held_strength = 1.0f;
  bool half_loaded = false;  // by a state that was refused: to be played on from neither

  void require_loaded() const;
  const Impl& loaded() const {
    require_loaded();
    return *this;
  }
  void require_playable() const;
  void find_parts();
  void load_rom(int seed);

  // console_state.cpp
  ale::stella::Cartridge& cartridge() const;
  std::string save_machine() const;
  // What can be told of a saved machine and of saved counters before ALE loads them.
  void check_machine(const std::string& machine) const;
  void check_counters(const std::string& bytes);
  void load_machine(const std::string& machine);
};

// The picture state of the TIA that its own save() leaves out.
struct Pictures {
  static bool unfinished(const ale::stella::TIA& tia);
  static void save(const ale::stella::TIA& tia, StateWriter& out);
  static void load(ale::stella::TIA& tia, StateReader& in);
};

}  // namespace actormimic
