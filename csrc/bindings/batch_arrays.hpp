// One batch of results for Python: NumPy arrays and the addresses that the workers write to.
#pragma once

#include <pybind11/numpy.h>

#include <memory>
#include <vector>

#include "pool/batch.hpp"

namespace actormimic::bindings {

// What the results of a pool look like, and which of the optional ones were asked for.
struct BatchShape {
  pybind11::ssize_t rows = 0;
  std::vector<pybind11::ssize_t> obs;  // of one environment
  bool final_obs = false;
  bool ram = false;
  bool flags = false;
};

// Holds its arrays for as long as a worker may write to them.
class PyBatch {
 public:
  // `given` holds the caller's arrays by name; the others are made. Throws TypeError or
  // std::invalid_argument for one of the wrong kind, dtype, shape or layout and for two that share
  // memory.
  PyBatch(const BatchShape& shape, const pybind11::dict& given);

  pybind11::array array(const char* name) const { return arrays[name]; }
  pybind11::tuple reset_result() const;
  pybind11::tuple step_result() const;

  Batch batch;
  pybind11::dict arrays;

 private:
  pybind11::dict infos(bool after_step) const;

  BatchShape shape_;
};

using PyBatchRef = std::shared_ptr<PyBatch>;

// Throws std::invalid_argument where two arrays of these batches share memory: the pool would write
// into what the caller reads.
void require_disjoint(const std::vector<const PyBatch*>& batches);

}  // namespace actormimic::bindings
