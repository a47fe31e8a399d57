// The operators' arguments, bound alike in _core and in _cuda. Python fills in addresses, element
// types and sizes; the memory stays the tensors'.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <type_traits>
#include <utility>

#include "ops/distillation_loss.hpp"
#include "ops/frame_gather.hpp"
#include "ops/transition_draw.hpp"

namespace actormimic::bindings {

namespace py = pybind11;

// A pointer member as an integer attribute; 0 is no memory.
template <auto kMember, typename Arguments>
void bind_address(py::class_<Arguments>& arguments, const char* name) {
  arguments.def_property(name, nullptr, [](Arguments& a, std::uintptr_t address) {
    a.*kMember = reinterpret_cast<std::remove_reference_t<decltype(a.*kMember)>>(address);
  });
}

// An Input member as a pair (address, element type).
template <auto kMember, typename Arguments>
void bind_input(py::class_<Arguments>& arguments, const char* name) {
  arguments.def_property(name, nullptr,
                         [](Arguments& a, const std::pair<std::uintptr_t, int>& input) {
                           a.*kMember = {reinterpret_cast<const void*>(input.first),
                                         static_cast<ops::ElementType>(input.second)};
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
           py::arg("mean"));
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

inline void bind_frame_types(py::module_& m) {
  using ops::FrameGather;
  using ops::TransitionDraw;
  py::class_<FrameGather> gather(m, "FrameGather", py::module_local());
  gather.def(py::init<>())
      .def_readwrite("frame_count", &FrameGather::frame_count)
      .def_readwrite("pixels", &FrameGather::pixels)
      .def_readwrite("stacks", &FrameGather::stacks)
      .def_readwrite("channels_last", &FrameGather::channels_last)
      .def_property("type", nullptr,
                    [](FrameGather& g, int type) { g.type = static_cast<ops::ElementType>(type); });
  bind_address<&FrameGather::frames>(gather, "frames");
  bind_address<&FrameGather::index>(gather, "index");
  bind_address<&FrameGather::out>(gather, "out");

  py::class_<TransitionDraw> draw(m, "TransitionDraw", py::module_local());
  draw.def(py::init<>())
      .def_readwrite("rings", &TransitionDraw::rings)
      .def_readwrite("lanes", &TransitionDraw::lanes)
      .def_readwrite("rows_per_lane", &TransitionDraw::rows_per_lane)
      .def_readwrite("per_ring", &TransitionDraw::per_ring)
      .def_readwrite("n_step", &TransitionDraw::n_step)
      .def_readwrite("gamma", &TransitionDraw::gamma);
  bind_address<&TransitionDraw::rows>(draw, "rows");
  bind_address<&TransitionDraw::queues>(draw, "queues");
  bind_address<&TransitionDraw::cursors>(draw, "cursors");
  bind_address<&TransitionDraw::prefixes>(draw, "prefixes");
  bind_address<&TransitionDraw::counter>(draw, "counter");
  bind_address<&TransitionDraw::index>(draw, "index");
  bind_address<&TransitionDraw::frames>(draw, "frames");
  bind_address<&TransitionDraw::next_frames>(draw, "next_frames");
  bind_address<&TransitionDraw::actions>(draw, "actions");
  bind_address<&TransitionDraw::rewards>(draw, "rewards");
  bind_address<&TransitionDraw::discounts>(draw, "discounts");
}

}  // namespace actormimic::bindings
