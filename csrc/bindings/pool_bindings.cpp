#include "bindings/bindings.hpp"

namespace actormimic::bindings {

void bind_pool(pybind11::module_&) {}

}  // namespace actormimic::bindings
