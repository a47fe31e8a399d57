// A processor for ALE's console that executes the same programs in less time.
#pragma once

#include <cstdint>

#include "ale/emucore/M6502Low.hxx"
#include "ale/emucore/System.hxx"
#include "emulator/vcs/bus.hpp"
#include "emulator/vcs/program.hpp"
#include "emulator/vcs/registers.hpp"

namespace actormimic::vcs {

// Stands in a System where ALE's M6502Low stood. ALE's objects stay the home of all state: this one
// inherits its registers, and every execute() leaves processor, chips and time as ALE's own would
// have. So ALE's frames, saved states and game rules need not know.
class Processor final : public ale::stella::M6502Low {
 public:
  // Takes the place of the processor in `system`, which owns it from then on. Returns false and
  // changes nothing where it would be no faster or no use: for cartridges whose ROM cannot be
  // decoded in advance, hold on to ALE's processor, or listen at the addresses of other chips.
  static bool install_in(ale::stella::System& system);

  bool execute(std::uint32_t number) override;

 private:
  Processor(const ale::stella::M6502Low& stock, ale::stella::System& system, Program program);

  Registers take_registers() const;
  void give_back(const Registers& registers);
  bool jam(Registers& registers);  // gives back what execute() gives

  Bus bus_;
  Program program_;
};

}  // namespace actormimic::vcs
