#include "bindings/bindings.hpp"

namespace actormimic::bindings {

void bind_ops(pybind11::module_&) {}

}  // namespace actormimic::bindings
