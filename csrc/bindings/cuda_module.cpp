// The optional module _cuda: the launchers of csrc/ops/*.cu. It links the static CUDA runtime, so
// that it can be imported where no GPU and no driver are.
#include <cuda_runtime_api.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <optional>
#include <string>

#include "bindings/ops_bindings.hpp"
#include "common/check.hpp"
#include "ops/device_code.cuh"
#include "ops/distillation_loss.cuh"
#include "ops/frame_gather.cuh"
#include "ops/transition_draw.cuh"

namespace actormimic::bindings {

namespace {

cudaStream_t as_stream(std::uintptr_t stream) { return reinterpret_cast<cudaStream_t>(stream); }

std::string text_of(cudaError_t error) {
  return std::string("CUDA error ") + cudaGetErrorName(error) + ": " + cudaGetErrorString(error);
}

void check(const char* name, cudaError_t error) {
  ensure(error == cudaSuccess, name, ": ", text_of(error));
}

}  // namespace

}  // namespace actormimic::bindings

PYBIND11_MODULE(_cuda, m) {
  namespace py = pybind11;
  using namespace actormimic;
  using namespace actormimic::bindings;
  m.doc() = "Actor-Mimic's CUDA operators. Every one enqueues on a stream and waits for nothing.";
  m.attr("__version__") = ACTORMIMIC_VERSION;
  m.attr("architectures") = ACTORMIMIC_CUDA_ARCHITECTURES;
  m.attr("bindings_digest") = ACTORMIMIC_BINDINGS_DIGEST;
  using Release = py::call_guard<py::gil_scoped_release>;
  m.def(
      "why_not",
      [](int device) -> std::optional<std::string> {
        const cudaError_t error = ops::cuda::runs_code(device);
        if (error == cudaSuccess) return std::nullopt;
        return text_of(error);
      },
      py::arg("device"), Release(),
      "What keeps a device from running these operators, in CUDA's words; None: nothing.");
  bind_distillation_types(m);
  m.def(
      "distillation_loss",
      [](const ops::DistillationSettings& settings, const ops::DistillationBatch& batch, int device,
         std::uintptr_t stream) {
        check("distillation_loss",
              ops::cuda::distillation_loss(settings, batch, device, as_stream(stream)));
      },
      py::arg("settings"), py::arg("batch"), py::arg("device"), py::arg("stream"), Release(),
      "See csrc/ops/distillation_loss.cuh.");
  bind_frame_types(m);
  m.def(
      "gather_frames",
      [](const ops::FrameGather& gather, int device, std::uintptr_t stream) {
        check("gather_frames", ops::cuda::gather_frames(gather, device, as_stream(stream)));
      },
      py::arg("gather"), py::arg("device"), py::arg("stream"), Release(),
      "See csrc/ops/frame_gather.cuh.");
  m.def(
      "draw_transitions",
      [](const ops::TransitionDraw& draw, int device, std::uintptr_t stream) {
        check("draw_transitions", ops::cuda::draw_transitions(draw, device, as_stream(stream)));
      },
      py::arg("draw"), py::arg("device"), py::arg("stream"), Release(),
      "See csrc/ops/transition_draw.cuh.");
}
