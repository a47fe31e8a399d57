#include "emulator/vcs/bus.hpp"

#include "emulator/vcs/ale_private.hpp"

namespace actormimic::vcs {

Bus::Bus(ale::stella::System& system, const std::uint8_t& execution_status)
    : system_(system), pages_(&system.getPageAccess(0)), execution_status_(execution_status) {}

bool Bus::is_plain(ale::stella::System& system) {
  const auto page = [&](unsigned address) {
    return system.getPageAccess(static_cast<std::uint16_t>(address >> kPageShift));
  };
  const ale::stella::Device* riot = page(0x280).device;
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

void Bus::leave_data(std::uint8_t data) { system_.*reveal(DataBus{}) = data; }

std::uint8_t Bus::data() const { return system_.*reveal(DataBus{}); }

std::uint8_t Bus::peek(std::uint16_t address, std::uint32_t cycle, std::uint8_t data) {
  tell_system(cycle);
  leave_data(data);
  return page(address).device->peek(address);
}

std::uint32_t Bus::poke(std::uint16_t address, std::uint8_t value, std::uint32_t cycle) {
  tell_system(cycle);
  leave_data(value);
  page(address).device->poke(address, value);
  return system_.cycles();
}

}  // namespace actormimic::vcs
