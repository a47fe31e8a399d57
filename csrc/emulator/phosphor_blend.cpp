// ALE's PhosphorBlend without its tables. ALE fills them, a megabyte and nine tenths of the time,
// whenever a console is switched on, for a blend of frames that only its setting color_averaging
// uses. This object file holds a function that the console calls, so the linker takes it before it
// reaches ALE's library, and never needs ALE's own definition.
#include "ale/environment/phosphor_blend.hpp"

#include <stdexcept>

#include "emulator/console_impl.hpp"

namespace ale {

PhosphorBlend::PhosphorBlend(stella::OSystem* osystem) : m_osystem(osystem) {}

void PhosphorBlend::process(ALEScreen&) {
  throw std::logic_error("this build of ALE has no color averaging");
}

}  // namespace ale

void actormimic::disable_color_averaging(ale::ALEInterface& ale) {
  ale.setBool("color_averaging", false);
}
