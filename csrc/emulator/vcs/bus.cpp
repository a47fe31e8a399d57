#include "emulator/vcs/bus.hpp"

#include "ale/emucore/TIA.hxx"
#include "emulator/ale_private.hpp"

namespace actormimic::vcs {

ACTORMIMIC_REVEAL(DataBus, stella::System, myDataBusState, std::uint8_t)

Bus::Bus(ale::stella::System& system)
    : system_(system),
      pages_(&system.getPageAccess(0)),
      riot_(dynamic_cast<ale::stella::M6532&>(*page(0x280).device)) {}

bool Bus::is_plain(ale::stella::System& system) {
  const auto page = [&](unsigned address) {
    return system.getPageAccess(static_cast<std::uint16_t>(address >> kPageShift));
  };
  const auto* riot = dynamic_cast<ale::stella::M6532*>(page(0x280).device);
  if (riot == nullptr) return false;
  for (unsigned address = 0; address < 0x1000; address += kPageMask + 1) {
    const Page& access = page(address);
    if ((address & 0x80) == 0) {
      if (access.device != &system.tia() || access.directPeekBase != nullptr ||
          access.directPokeBase != nullptr)
        return false;
    } else {
      std::uint8_t* ram =
          (address & 0x200) == 0 ? page(0x80).directPeekBase + (address & 0x40) : nullptr;
      if (access.device != riot || access.directPeekBase != ram || access.directPokeBase != ram)
        return false;
    }
  }
  return page(0x80).directPeekBase != nullptr;
}

std::uint8_t Bus::data() const { return system_.*reveal(DataBus{}); }

void Bus::leave_data(std::uint8_t data) { system_.*reveal(DataBus{}) = data; }

// Cartridges may look at the time and at the bus.
std::uint8_t Bus::peek_cartridge(std::uint16_t address, std::uint32_t cycle, std::uint8_t data) {
  tell_system(cycle);
  leave_data(data);
  return page(address).device->peek(address);
}

void Bus::poke_cartridge(std::uint16_t address, std::uint8_t value, std::uint32_t cycle) {
  tell_system(cycle);
  page(address).device->poke(address, value);
}

}  // namespace actormimic::vcs
