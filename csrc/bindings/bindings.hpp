// Each floor binds itself in a file of its own; core_module.cpp calls them in turn.
#pragma once

#include <pybind11/pybind11.h>

namespace actormimic::bindings {

void bind_pool(pybind11::module_& m);
void bind_replay(pybind11::module_& m);
void bind_ops(pybind11::module_& m);

}  // namespace actormimic::bindings
