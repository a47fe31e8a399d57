// A processor for ALE's console that executes the same programs in less time.
#pragma once

#include <cstdint>
#include <memory>

#include "ale/emucore/Cart.hxx"
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
  // changes nothing for consoles that only ALE's own can serve: those whose cartridge holds on to
  // the processor or listens at the addresses of other chips.
  static bool install_in(ale::stella::System& system);

  bool execute(std::uint32_t number) override;

  // Whether it knows the cartridge's ROM in advance, without which it is no faster than ALE's.
  bool decodes() const { return program_ != nullptr; }

 private:
  Processor(const ale::stella::M6502Low& stock, ale::stella::System& system,
            ale::stella::Cartridge& cartridge);

  Registers take_registers() const;
  void give_back(const Registers& registers);

  Bus bus_;
  std::unique_ptr<const Program> program_;  // null if the cartridge's ROM cannot be decoded once
};

}  // namespace actormimic::vcs
