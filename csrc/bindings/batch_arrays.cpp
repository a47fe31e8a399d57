#include "bindings/batch_arrays.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "bindings/array_arguments.hpp"
#include "common/check.hpp"

namespace py = pybind11;

namespace actormimic::bindings {
namespace {

template <typename T>
py::array_t<T> checked_array(py::handle given, const char* name, const Shape& shape) {
  if (!py::isinstance<py::array_t<T>>(given))
    throw py::type_error(detail::join(
        name, " must be a NumPy array of dtype ", text(py::dtype::of<T>()), ", got ",
        py::isinstance<py::array>(given) ? text(py::reinterpret_borrow<py::array>(given).dtype())
                                         : text(py::type::of(given))));
  auto array = py::reinterpret_borrow<py::array_t<T>>(given);
  const Shape got = shape_of(array);
  require(got == shape, name, " must have shape ", text(shape), ", got ", text(got));
  require(array.flags() & py::array::c_style, name, " must be C-contiguous");
  require(array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_, name, " must be aligned to ",
          sizeof(T), " bytes");
  require(array.writeable(), name, " must be writable");
  return array;
}

}  // namespace

PyBatch::PyBatch(const BatchShape& shape, const py::dict& given) : shape_(shape) {
  std::vector<py::ssize_t> obs_shape = shape.obs;
  obs_shape.insert(obs_shape.begin(), shape.rows);
  const std::vector<py::ssize_t> row_shape{shape.rows};
  Slot& slot = batch.first;
  int used = 0;
  const auto make = [&](const char* name, auto*& pointer, const std::vector<py::ssize_t>& size) {
    using T = std::remove_reference_t<decltype(*pointer)>;
    py::array_t<T> array;
    if (given.contains(name)) {
      array = checked_array<T>(given[name], name, size);
      ++used;
    } else {
      array = py::array_t<T>(size);
    }
    pointer = array.mutable_data();
    arrays[name] = array;
  };
  make("obs", slot.obs, obs_shape);
  make("rewards", slot.reward, row_shape);
  make("terminations", slot.terminated, row_shape);
  make("truncations", slot.truncated, row_shape);
  make("env_id", slot.env_id, row_shape);
  make("lives", slot.lives, row_shape);
  make("frame_number", slot.frame_number, row_shape);
  make("episode_frame_number", slot.episode_frame_number, row_shape);
  if (shape.final_obs) {
    make("final_obs", slot.final_obs, obs_shape);
    std::memset(slot.final_obs, 0, static_cast<std::size_t>(array("final_obs").nbytes()));
  }
  if (shape.ram) make("ram", slot.ram, {shape.rows, kRamBytes});
  if (shape.flags) {
    make("life_lost", slot.life_lost, row_shape);
    make("game_over", slot.game_over, row_shape);
    make("autoreset", slot.autoreset, row_shape);
  }
  if (static_cast<std::size_t>(used) != given.size()) {
    for (const auto& item : given)
      require(arrays.contains(item.first), "a batch of this pool has no array '", text(item.first),
              "'; it has ", text(py::list(arrays)));
  }
  batch.obs_bytes =
      static_cast<std::size_t>(array("obs").nbytes() / std::max<py::ssize_t>(shape.rows, 1));
  if (used > 0) require_disjoint({this});  // new arrays share nothing, and a step makes a batch
}

void require_disjoint(const std::vector<const PyBatch*>& batches) {
  struct Span {
    const char* begin;
    const char* end;
    std::size_t batch;
    std::string name;
  };
  std::vector<Span> spans;
  for (std::size_t i = 0; i < batches.size(); ++i) {
    for (const auto& [name, value] : batches[i]->arrays) {
      const auto array = py::reinterpret_borrow<py::array>(value);
      const auto* begin = static_cast<const char*>(array.data());
      spans.push_back({begin, begin + array.nbytes(), i, text(name)});
    }
  }
  std::sort(spans.begin(), spans.end(),
            [](const Span& a, const Span& b) { return a.begin < b.begin; });
  for (std::size_t i = 1; i < spans.size(); ++i) {
    const Span &a = spans[i - 1], &b = spans[i];
    require(a.end <= b.begin, a.name, " of batch ", a.batch, " and ", b.name, " of batch ", b.batch,
            " share memory");
  }
}

py::dict PyBatch::infos(bool after_step) const {
  py::dict infos;
  for (const char* name : {"env_id", "lives", "frame_number", "episode_frame_number"})
    infos[name] = arrays[name];
  if (shape_.ram) infos["ram"] = arrays["ram"];
  if (shape_.flags)
    for (const char* name : {"life_lost", "game_over", "autoreset"}) infos[name] = arrays[name];
  if (shape_.final_obs && after_step) {
    for (py::ssize_t i = 0; i < shape_.rows; ++i) {
      if (!batch.first.terminated[i] && !batch.first.truncated[i]) continue;
      infos["final_obs"] = arrays["final_obs"];
      break;
    }
  }
  return infos;
}

py::tuple PyBatch::reset_result() const { return py::make_tuple(arrays["obs"], infos(false)); }

py::tuple PyBatch::step_result() const {
  return py::make_tuple(arrays["obs"], arrays["rewards"], arrays["terminations"],
                        arrays["truncations"], infos(true));
}

}  // namespace actormimic::bindings
