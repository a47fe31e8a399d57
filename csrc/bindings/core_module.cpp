#include <pybind11/pybind11.h>

#include "bindings/bindings.hpp"

PYBIND11_MODULE(_core, m) {
  m.doc() = "Actor-Mimic's C++ core: the Atari pool, the replay ring and the CPU operators.";
  m.attr("__version__") = ACTORMIMIC_VERSION;
  m.attr("bindings_digest") = ACTORMIMIC_BINDINGS_DIGEST;
  actormimic::bindings::bind_pool(m);
  actormimic::bindings::bind_replay(m);
  actormimic::bindings::bind_ops(m);
}
