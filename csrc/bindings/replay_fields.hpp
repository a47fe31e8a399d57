// What a sample of the replay ring is made of: the name, type and shape of each field, which of
// them a call wants, and whether the caller's arrays can take them.
#pragma once

#include <pybind11/numpy.h>

#include <array>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "bindings/array_arguments.hpp"
#include "replay/ring_layout.hpp"
#include "replay/ring_shape.hpp"
#include "replay/stack_format.hpp"

namespace actormimic::bindings {

// How one field is laid out.
struct Field {
  Field(std::string field, py::dtype type, Shape row)
      : name(std::move(field)), key(name), dtype(std::move(type)), row_shape(std::move(row)) {}

  std::string name;
  py::str key;  // the name, for looking up arrays
  py::dtype dtype;
  Shape row_shape;
};

// The fields that every ring has; those of SampleFields but for the extras.
inline constexpr std::size_t kFixedSampleFields = 7;
inline constexpr std::size_t kMaxSampleFields = kFixedSampleFields + replay::kMaxExtras;
using WantedFields = std::array<bool, kMaxSampleFields>;  // by position among the fields known

// The stacks' format as `sample` names it; throws on an unknown dtype.
replay::StackFormat stack_format(const std::string& obs_dtype, bool channels_last);

// Every field that can be sampled: those of SampleFields in its order, then the ring's extras.
std::vector<Field> sample_fields(const replay::RingShape& shape, const std::vector<Field>& extras,
                                 const replay::StackFormat& format);

// The fields that `fields`, a sequence of names or None, and `out`, a dict of arrays or None, ask
// for; throws on an unknown name and on a field that `out` has no array for.
WantedFields wanted_fields(const std::vector<Field>& known, const py::object& fields,
                           const py::object& out);

// The shape of `batch` rows of the field.
Shape batch_shape(const Field& field, py::ssize_t batch);

// The caller's array for a field; throws unless `batch` rows can be written into it as it is.
py::array out_array(const Field& field, const py::handle& object, py::ssize_t batch,
                    const replay::StackFormat& format);

}  // namespace actormimic::bindings
