// A game in ALE and all of its state, for tests that set ours beside it.
#pragma once

#include <memory>
#include <string>

#include "ale/ale_interface.hpp"
#include "ale/common/Log.hpp"
#include "ale/emucore/Console.hxx"
#include "ale/emucore/Deserializer.hxx"
#include "ale/emucore/M6502Low.hxx"
#include "ale/emucore/MediaSrc.hxx"
#include "ale/emucore/OSystem.hxx"
#include "ale/emucore/Serializer.hxx"
#include "check.hpp"
#include "emulator/paddles.hpp"
#include "emulator/tia_access.hpp"

// A game in ALE, with every part that ALE hides from its users.
struct Machine {
  explicit Machine(const std::string& rom) {
    ale::Logger::setMode(ale::Logger::Error);
    ale = std::make_unique<ale::ALEInterface>();
    ale->setInt("random_seed", 3);
    ale->setFloat("repeat_action_probability", 0.0f);
    ale->loadROM(rom);
    console = &ale->theOSystem->console();
    system = &console->system();
    paddles = actormimic::has_paddles(console->properties());
    keys = ale->environment->getState();
  }

  // The system owns it from here on.
  void use(ale::stella::M6502* ours) {
    ale::stella::M6502* const before = &system->m6502();
    ale::stella::Serializer registers;
    CHECK(before->save(registers));
    system->attach(ours);
    delete before;
    ale::stella::Deserializer in(registers.get_str());
    CHECK(ours->load(in));
  }

  void press(int action, float strength) {
    ale::stella::Event* event = ale->theOSystem->event();
    if (paddles)
      keys.applyActionPaddles(event, action, strength, ale::PLAYER_B_NOOP, 0.0f);
    else
      keys.applyActionJoysticks(event, action, ale::PLAYER_B_NOOP);
  }

  void reset() {
    ale->environment->setState(keys);
    ale->environment->reset();
    keys = ale->environment->getState();
  }

  std::unique_ptr<ale::ALEInterface> ale;
  ale::stella::Console* console;
  ale::stella::System* system;
  bool paddles;
  ale::ALEState keys;
};

// Everything: the machine as ALE saves it, the pictures and what else ALE leaves out.
struct SavedState {
  explicit SavedState(Machine& of) {
    ale::stella::Serializer system;
    CHECK(of.system->saveState("md5", system));
    machine = system.get_str();
    actormimic::StateWriter out;
    ale::stella::TIADebug::save(of.system->tia(), out);
    pictures = out.take();
  }
  // What ALE loads by itself: without the pictures, and the TIA's masks stay where they are.
  void load_machine(Machine& into) const {
    ale::stella::Deserializer in(machine);
    CHECK(into.system->loadState("md5", in));
  }
  void load(Machine& into) const {
    load_machine(into);
    actormimic::StateReader reader(pictures.data(), pictures.size());
    ale::stella::TIADebug::load(into.system->tia(), reader);
  }
  bool operator==(const SavedState& other) const {
    return machine == other.machine && pictures == other.pictures;
  }

  std::string machine;
  std::string pictures;
};

inline std::string rom_path(const std::string& name) {
  return std::string(ACTORMIMIC_TEST_ROMS) + "/" + name + ".bin";
}
