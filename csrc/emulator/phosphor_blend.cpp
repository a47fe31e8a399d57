// ALE's PhosphorBlend without its tables, in place of ALE's own file, which the build leaves out.
// ALE fills them, a megabyte and nine tenths of the time, whenever a console is switched on, for a
// blend of frames that only its setting color_averaging uses. The console calls a function of this
// file, so that a linker has it before it comes to ALE's library.
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
