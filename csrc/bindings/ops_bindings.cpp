#include "bindings/ops_bindings.hpp"

#include "bindings/bindings.hpp"

namespace actormimic::bindings {

// The operators on the CPU, computed on the calling thread without the interpreter's lock; see the
// headers of csrc/ops.
void bind_ops(py::module_& m) {
  using Release = py::call_guard<py::gil_scoped_release>;
  bind_distillation_types(m);
  m.def(
      "distillation_loss",
      [](const ops::DistillationSettings& settings, const ops::DistillationBatch& batch) {
        ops::distillation_loss(settings, batch);
      },
      Release(), py::arg("settings"), py::arg("batch"));
  bind_frame_types(m);
  m.def("gather_frames", &ops::gather_frames, Release(), py::arg("gather"));
  m.def("draw_transitions", &ops::draw_transitions, Release(), py::arg("draw"));
}

}  // namespace actormimic::bindings
