// ALE's PhosphorBlend without its tables; compiled into ALE in place of its own file. ALE fills
// them, a megabyte and nine tenths of the time, whenever a console is switched on, for a blend of
// frames that only its setting color_averaging uses, which a console of ours switches off.
#include "ale/environment/phosphor_blend.hpp"

#include <stdexcept>

namespace ale {

PhosphorBlend::PhosphorBlend(stella::OSystem* osystem) : m_osystem(osystem) {}

void PhosphorBlend::process(ALEScreen&) {
  throw std::logic_error("this build of ALE has no color averaging");
}

}  // namespace ale
