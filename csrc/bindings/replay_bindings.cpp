// Binds the replay ring: numpy arrays are checked here and handed down as pointers, and the
// interpreter is released while bytes move.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings/array_arguments.hpp"
#include "bindings/bindings.hpp"
#include "bindings/replay_fields.hpp"
#include "common/check.hpp"
#include "replay/mapping.hpp"
#include "replay/ring.hpp"

namespace actormimic::bindings {

namespace py = pybind11;
using namespace pybind11::literals;

namespace {

using replay::ReplayRing;
using replay::RingShape;
using replay::StackType;

class Ring {
 public:
  explicit Ring(ReplayRing ring) : ring_(std::make_shared<ReplayRing>(std::move(ring))) {
    for (const replay::ExtraSpec& extra : ring_->shape().extras)
      extras_.push_back(
          {extra.name, py::dtype(extra.dtype), {extra.shape.begin(), extra.shape.end()}});
    for (const StackType type : {StackType::kUint8, StackType::kFloat16, StackType::kBfloat16})
      for (const bool channels_last : {false, true})
        fields_.push_back(sample_fields(ring_->shape(), extras_, {type, channels_last}));
  }

  static Ring create(std::int64_t capacity, std::int64_t lanes,
                     const std::vector<std::int64_t>& frame_shape, std::int64_t stack,
                     const py::list& extras, const std::string& name, const std::string& path) {
    constexpr std::int64_t most = std::int64_t{1} << 31;
    require_range<std::int64_t>("capacity", capacity, 1, std::int64_t{1} << 32);
    require_range<std::int64_t>("lanes", lanes, 1, most);
    require_range<std::int64_t>("stack", stack, 1, replay::kMaxStack);
    const auto sizes = [](const char* what, const std::vector<std::int64_t>& shape) {
      for (const std::int64_t size : shape) require_range<std::int64_t>(what, size, 1, most);
      return std::vector<std::uint32_t>(shape.begin(), shape.end());
    };
    RingShape shape;
    shape.lanes = static_cast<std::uint32_t>(lanes);
    shape.rows_per_lane = static_cast<std::uint64_t>(capacity / lanes);
    shape.stack = static_cast<std::uint32_t>(stack);
    shape.frame_shape = sizes("a size in frame_shape", frame_shape);
    for (const py::handle item : extras) {
      const auto [extra, dtype, row] =
          item.cast<std::tuple<std::string, std::string, std::vector<std::int64_t>>>();
      shape.extras.push_back({extra, dtype, sizes("a size of an extra", row)});
    }
    py::gil_scoped_release release;  // reserving gigabytes takes a while
    ReplayRing ring = ReplayRing::create(shape, {name, path});
    py::gil_scoped_acquire acquire;
    return Ring(std::move(ring));
  }

  static Ring attach(const std::string& name, const std::string& path) {
    return Ring(ReplayRing::attach({name, path}));
  }

  // The ring itself, kept alive for the length of a call even if another thread closes it.
  std::shared_ptr<ReplayRing> open() const {
    ensure(ring_ != nullptr, "the ring is closed");
    return ring_;
  }
  bool closed() const { return ring_ == nullptr; }

  // The ring's memory as ring_layout.hpp describes it, read-only; it lives as long as the array.
  py::array memory() const {
    auto kept = std::make_unique<std::shared_ptr<ReplayRing>>(open());
    const ReplayRing& ring = **kept;
    const py::capsule owner(kept.release(), [](void* pointer) {
      delete static_cast<std::shared_ptr<ReplayRing>*>(pointer);
    });
    py::array_t<std::uint8_t> bytes(static_cast<py::ssize_t>(ring.bytes()),
                                    reinterpret_cast<const std::uint8_t*>(ring.data()), owner);
    bytes.attr("flags").attr("writeable") = false;
    return bytes;
  }
  void close() { ring_.reset(); }

  // Calls of up to six arguments cost pybind11 no allocation: what belongs together comes in
  // tuples. The row: frames, actions, rewards, terminals.
  using Row = std::tuple<py::object, py::object, py::object, py::object>;
  // The draws: lanes, n_step, gamma, seed.
  using Draws = std::tuple<py::object, std::int64_t, double, std::uint64_t>;

  void append(const Row& row, const py::object& starts_object, const py::object& lanes_object,
              const py::dict& extras_given) {
    const auto ring = open();
    const auto& [frames_object, actions_object, rewards_object, terminals_object] = row;
    py::array frames = array_argument("frames", frames_object);
    // Not always the same object: an unpickled array brings a dtype of its own.
    if (!frames.dtype().equal(py::dtype::of<std::uint8_t>()))
      throw py::type_error("frames has dtype " + text(frames.dtype()) + "; allowed: uint8");
    require(frames.ndim() >= 1, "frames has 0 dimensions");
    const py::ssize_t count = frames.shape(0);
    const std::vector<std::uint32_t>& frame_shape = ring->shape().frame_shape;
    if (!has_shape(frames, count, frame_shape)) {
      Shape allowed{count};
      allowed.insert(allowed.end(), frame_shape.begin(), frame_shape.end());
      check_shape("frames", frames, allowed);
    }
    if (!rows_are_contiguous(frames))
      frames = py::array_t<std::uint8_t, py::array::c_style>(frames);

    const auto actions = integers("actions", actions_object);
    const auto rewards = vector_argument<float>("rewards", rewards_object, "fiub", "real numbers");
    const auto terminals = booleans("terminals", terminals_object);
    replay::AppendRows rows;
    rows.count = count;
    rows.frames = static_cast<const std::uint8_t*>(frames.data());
    rows.frame_stride = frames.strides(0);
    rows.actions = rows_of("actions", actions, count);
    rows.rewards = rows_of("rewards", rewards, count);
    rows.terminals = reinterpret_cast<const std::uint8_t*>(rows_of("terminals", terminals, count));
    std::optional<Vector<bool>> starts;
    if (!starts_object.is_none()) {
      starts = booleans("starts", starts_object);
      rows.starts = reinterpret_cast<const std::uint8_t*>(rows_of("starts", *starts, count));
    }
    std::optional<Vector<std::int64_t>> lanes;
    if (!lanes_object.is_none()) {
      lanes = integers("lanes", lanes_object);
      rows.lanes = rows_of("lanes", *lanes, count);
    }
    std::array<py::object, replay::kMaxExtras> extras;  // kept until their bytes are copied
    extra_rows(extras_given, count, extras, rows.extras);
    py::gil_scoped_release release;
    ring->append(rows);
  }

  py::dict sample(std::int64_t batch, const Draws& draws, const py::object& fields,
                  const py::object& out, const std::pair<std::string, bool>& layout) const {
    const auto ring = open();
    replay::SampleRequest request;
    require_range<std::int64_t>("batch", batch, 1, std::int64_t{1} << 24);
    request.batch = batch;
    py::object lanes;
    std::tie(lanes, request.n_step, request.gamma, request.seed) = draws;
    const auto& [obs_dtype, channels_last] = layout;
    request.format = stack_format(obs_dtype, channels_last);
    std::optional<Vector<std::int64_t>> chosen;
    if (!lanes.is_none()) {
      chosen = integers("lanes", lanes);
      require(chosen->size() > 0, "lanes is empty; allowed: one or more, or None for all");
      request.lanes = chosen->data();
      request.lane_count = chosen->size();
    }
    const std::vector<Field>& known =
        fields_[2 * static_cast<std::size_t>(request.format.type) + (channels_last ? 1 : 0)];
    const WantedFields wanted = wanted_fields(known, fields, out);
    py::dict result = out.is_none() ? py::dict() : py::reinterpret_borrow<py::dict>(out);
    std::array<std::byte*, kMaxSampleFields> pointers{};
    std::array<py::object, kMaxSampleFields> kept;  // whatever becomes of `out` meanwhile
    for (std::size_t i = 0; i < known.size(); ++i) {
      if (!wanted[i]) continue;
      const Field& field = known[i];
      if (out.is_none()) result[field.key] = py::array(field.dtype, batch_shape(field, batch));
      py::array array = out_array(field, result[field.key], batch, request.format);
      pointers[i] = static_cast<std::byte*>(array.mutable_data());
      kept[i] = std::move(array);
    }
    replay::SampleFields& to = request.out;
    to.obs = pointers[0];
    to.actions = reinterpret_cast<std::int64_t*>(pointers[1]);
    to.rewards = reinterpret_cast<float*>(pointers[2]);
    to.next_obs = pointers[3];
    to.terminals = reinterpret_cast<std::uint8_t*>(pointers[4]);
    to.discounts = reinterpret_cast<float*>(pointers[5]);
    to.index = reinterpret_cast<std::int64_t*>(pointers[6]);
    std::copy(pointers.begin() + kFixedSampleFields, pointers.end(), to.extras.begin());
    py::gil_scoped_release release;
    ring->sample(request);
    return result;
  }

 private:
  static bool rows_are_contiguous(const py::array& frames) {
    py::ssize_t bytes = 1;
    for (py::ssize_t d = frames.ndim() - 1; d > 0; --d) {
      if (frames.strides(d) != bytes) return false;
      bytes *= frames.shape(d);
    }
    return true;
  }

  void extra_rows(const py::dict& given, py::ssize_t count,
                  std::array<py::object, replay::kMaxExtras>& kept,
                  std::array<const std::byte*, replay::kMaxExtras>& rows) const {
    for (const auto& [name, value] : given) {
      const std::string key = text(name);
      const auto same = [&](const Field& extra) { return extra.name == key; };
      if (std::none_of(extras_.begin(), extras_.end(), same))
        throw py::type_error("append got '" + key + "', which this ring does not store");
    }
    for (std::size_t e = 0; e < extras_.size(); ++e) {
      const Field& extra = extras_[e];
      if (!given.contains(extra.key))
        throw py::type_error("append needs the extra '" + extra.name + "'");
      py::array array = array_argument(extra.name, given[extra.key]);
      if (!has_shape(array, count, extra.row_shape))
        check_shape(extra.name, array, batch_shape(extra, count));
      if (!array.dtype().equal(extra.dtype)) array = cast_extra(extra, array);
      if ((array.flags() & py::array::c_style) == 0) array = array.attr("copy")("order"_a = "C");
      rows[e] = static_cast<const std::byte*>(array.data());
      kept[e] = std::move(array);
    }
  }

  static py::array cast_extra(const Field& extra, const py::array& array) {
    const auto numpy = py::module_::import("numpy");
    if (!numpy.attr("can_cast")(array.dtype(), extra.dtype, "same_kind").cast<bool>())
      throw py::type_error(extra.name + " has dtype " + text(array.dtype()) + "; allowed: " +
                           text(extra.dtype) + " or what casts to it within its kind");
    py::array cast = array.attr("astype")(extra.dtype);
    const char kind = extra.dtype.kind();
    // An integer that does not fit would wrap around without a word.
    if ((kind == 'i' || kind == 'u') && !numpy.attr("array_equal")(cast, array).cast<bool>()) {
      const auto limits = numpy.attr("iinfo")(extra.dtype);
      throw py::value_error(extra.name + " holds " + text(array.attr("min")()) + " to " +
                            text(array.attr("max")()) + "; allowed: " + text(limits.attr("min")) +
                            " to " + text(limits.attr("max")) + ", the range of " +
                            text(extra.dtype));
    }
    return cast;
  }

  std::shared_ptr<ReplayRing> ring_;
  std::vector<Field> extras_;
  std::vector<std::vector<Field>> fields_;  // those of each stack type, channels first and last
};

py::dict report(const Ring& self, std::int64_t lane) {
  const replay::LaneReport report = self.open()->report(lane);
  return py::dict("rows_written"_a = report.rows_written, "rows_held"_a = report.rows_held,
                  "valid"_a = report.valid, "starts"_a = report.starts,
                  "terminals"_a = report.terminals, "reward_sum"_a = report.reward_sum,
                  "writer"_a = report.writer);
}

py::list extra_specs(const Ring& self) {
  py::list specs;
  for (const replay::ExtraSpec& extra : self.open()->shape().extras)
    specs.append(py::make_tuple(extra.name, extra.dtype, py::tuple(py::cast(extra.shape))));
  return specs;
}

}  // namespace

void bind_replay(py::module_& m) {
  py::register_local_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const std::system_error& error) {
      // OSError picks its subclass, FileNotFoundError and so on, by the number.
      const py::tuple arguments = py::make_tuple(error.code().value(), error.what());
      PyErr_SetObject(PyExc_OSError, arguments.ptr());
    }
  });
  py::class_<Ring>(m, "ReplayRing")
      .def_static("create", &Ring::create)
      .def_static("attach", &Ring::attach)
      .def("append", &Ring::append)
      .def("sample", &Ring::sample)
      .def("save",
           [](const Ring& self, const std::string& path, bool compress) {
             const auto ring = self.open();
             py::gil_scoped_release release;
             ring->save(path, compress);
           })
      .def("load",
           [](const Ring& self, const std::string& path) {
             const auto ring = self.open();
             py::gil_scoped_release release;
             ring->load(path);
           })
      .def("close", &Ring::close)
      .def("report", &report)
      .def("valid_rows", [](const Ring& self) { return self.open()->valid_rows(); })
      .def("rows_written",
           [](const Ring& self, std::int64_t lane) { return self.open()->rows_written(lane); })
      .def_property_readonly("closed", &Ring::closed)
      .def_property_readonly("memory", &Ring::memory)
      .def_property_readonly("extras", &extra_specs)
      .def_property_readonly("lanes", [](const Ring& self) { return self.open()->shape().lanes; })
      .def_property_readonly("stack", [](const Ring& self) { return self.open()->shape().stack; })
      .def_property_readonly(
          "frame_shape",
          [](const Ring& self) { return py::tuple(py::cast(self.open()->shape().frame_shape)); })
      .def_property_readonly("capacity", [](const Ring& self) { return self.open()->capacity(); })
      .def_property_readonly("nbytes", [](const Ring& self) { return self.open()->bytes(); });
  m.def("list_rings", &replay::list_names);
  m.def("remove_ring",
        [](const std::string& name, const std::string& path) { replay::remove({name, path}); });
}

}  // namespace actormimic::bindings
