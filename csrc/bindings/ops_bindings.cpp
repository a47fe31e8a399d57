#include "bindings/ops_bindings.hpp"

#include "bindings/bindings.hpp"

namespace actormimic::bindings {

void bind_ops(py::module_& m) {
  bind_distillation_types(m);
  m.def(
      "distillation_loss",
      [](const ops::DistillationSettings& settings, const ops::DistillationBatch& batch) {
        py::gil_scoped_release release;
        ops::distillation_loss(settings, batch);
      },
      py::arg("settings"), py::arg("batch"),
      "Computes on the calling thread; see csrc/ops/distillation_loss.hpp.");
}

}  // namespace actormimic::bindings
