// numpy arrays as arguments: their kind and shape are checked, and no text is built unless one is
// refused.
#pragma once

#include <pybind11/numpy.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "common/check.hpp"

namespace actormimic::bindings {

namespace py = pybind11;
using Shape = std::vector<py::ssize_t>;

inline std::string text(const py::handle& object) { return py::str(object).cast<std::string>(); }

inline std::string text(const Shape& shape) {
  py::tuple sizes(shape.size());
  for (std::size_t i = 0; i < shape.size(); ++i) sizes[i] = shape[i];
  return text(sizes);
}

inline Shape shape_of(const py::array& array) {
  return {array.shape(), array.shape() + array.ndim()};
}

inline void check_kind(const char* name, const py::array& array, const char* kinds,
                       const char* allowed) {
  if (std::string(kinds).find(array.dtype().kind()) == std::string::npos)
    throw py::type_error(
        detail::join(name, " has dtype ", text(array.dtype()), "; allowed: ", allowed));
}

inline void check_shape(const std::string& name, const py::array& array, const Shape& allowed) {
  const Shape shape = shape_of(array);
  require(shape == allowed, name, " has shape ", text(shape), "; allowed: ", text(allowed));
}

// Whatever numpy makes an array of. Its own words about what it cannot go behind the argument's
// name.
inline py::array array_argument(const std::string& name, const py::handle& object) {
  try {
    return py::array(py::reinterpret_borrow<py::object>(object));
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_ValueError) && !error.matches(PyExc_TypeError)) throw;
    const std::string reason = text(error.value());
    py::raise_from(error, error.type().ptr(), (name + " is no array: " + reason).c_str());
    throw py::error_already_set();
  }
}

// C-contiguous and aligned; other memory is copied.
template <typename T>
using Vector = py::array_t<T, py::array::c_style | py::array::forcecast |
                                  py::detail::npy_api::NPY_ARRAY_ALIGNED_>;

// A one-dimensional argument as `T`, converted if its kind is allowed.
template <typename T>
Vector<T> vector_argument(const char* name, const py::object& object, const char* kinds,
                          const char* allowed) {
  const py::array array = array_argument(name, object);
  // An empty list is a float array to numpy.
  if (array.size() > 0) check_kind(name, array, kinds, allowed);
  require(array.ndim() == 1, name, " has ", array.ndim(), " dimensions; allowed: 1");
  Vector<T> values(array);
  if constexpr (std::is_same_v<T, std::int64_t>) {
    // What int64 cannot hold has wrapped to below 0.
    if (array.dtype().kind() == 'u' && array.itemsize() == 8)
      for (py::ssize_t i = 0; i < values.size(); ++i)
        require(values.data()[i] >= 0, name, " holds ",
                static_cast<std::uint64_t>(values.data()[i]), "; allowed: at most 2^63 - 1");
  }
  return values;
}

inline Vector<std::int64_t> integers(const char* name, const py::object& object) {
  return vector_argument<std::int64_t>(name, object, "iu", "integers");
}

inline Vector<bool> booleans(const char* name, const py::object& object) {
  return vector_argument<bool>(name, object, "biu", "bool");
}

// Whether the array is `count` rows of shape `row`.
template <typename Row>
bool has_shape(const py::array& array, py::ssize_t count, const Row& row) {
  return array.ndim() == static_cast<py::ssize_t>(row.size()) + 1 && array.shape(0) == count &&
         std::equal(row.begin(), row.end(), array.shape() + 1);
}

template <typename T>
const T* rows_of(const char* name, const Vector<T>& array, py::ssize_t count) {
  if (array.ndim() != 1 || array.shape(0) != count) check_shape(name, array, {count});
  return array.data();
}

}  // namespace actormimic::bindings
