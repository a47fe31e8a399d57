#include "bindings/bindings.hpp"

namespace actormimic::bindings {

void bind_replay(pybind11::module_&) {}

}  // namespace actormimic::bindings
