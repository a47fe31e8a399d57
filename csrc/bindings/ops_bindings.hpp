// The settings and the batch of the distillation loss, bound alike in _core and in _cuda. Python
// fills in addresses, element types and sizes; the memory stays the tensors'.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <utility>

#include "ops/distillation_loss.hpp"

namespace actormimic::bindings {

namespace py = pybind11;

// A pair (address, element type) set as one attribute.
template <ops::Input ops::DistillationBatch::* kInput>
void bind_input(py::class_<ops::DistillationBatch>& batch, const char* name) {
  batch.def_property(name, nullptr,
                     [](ops::DistillationBatch& b, std::pair<std::uintptr_t, int> input) {
                       (b.*kInput).data = reinterpret_cast<const void*>(input.first);
                       (b.*kInput).type = static_cast<ops::ElementType>(input.second);
                     });
}

// An address; 0 is no memory.
template <auto kPointer>
void bind_address(py::class_<ops::DistillationBatch>& batch, const char* name) {
  batch.def_property(name, nullptr, [](ops::DistillationBatch& b, std::uintptr_t address) {
    using Pointer = std::remove_reference_t<decltype(b.*kPointer)>;
    b.*kPointer = reinterpret_cast<Pointer>(address);
  });
}

inline void bind_distillation_types(py::module_& m) {
  using ops::DistillationBatch;
  using ops::DistillationSettings;
  py::class_<DistillationSettings>(m, "DistillationSettings", py::module_local())
      .def(py::init([](int objective, double temperature, double feature_scale, bool mean) {
             DistillationSettings settings{static_cast<ops::Objective>(objective), temperature,
                                           feature_scale, mean};
             settings.check();
             return settings;
           }),
           py::kw_only(), py::arg("objective"), py::arg("temperature"), py::arg("feature_scale"),
           py::arg("mean"))
      .def_property_readonly("gradient_scale", &DistillationSettings::gradient_scale);
  py::class_<DistillationBatch> batch(m, "DistillationBatch", py::module_local());
  batch.def(py::init<>())
      .def_readwrite("rows", &DistillationBatch::rows)
      .def_readwrite("features", &DistillationBatch::features);
  bind_input<&DistillationBatch::logits>(batch, "logits");
  bind_input<&DistillationBatch::expert_q>(batch, "expert_q");
  bind_input<&DistillationBatch::predicted_features>(batch, "predicted_features");
  bind_input<&DistillationBatch::expert_features>(batch, "expert_features");
  bind_address<&DistillationBatch::action_mask>(batch, "action_mask");
  bind_address<&DistillationBatch::weight>(batch, "weight");
  bind_address<&DistillationBatch::logits_gradient>(batch, "logits_gradient");
  bind_address<&DistillationBatch::features_gradient>(batch, "features_gradient");
  bind_address<&DistillationBatch::total>(batch, "total");
  bind_address<&DistillationBatch::policy>(batch, "policy");
  bind_address<&DistillationBatch::feature>(batch, "feature");
}

}  // namespace actormimic::bindings
