#include "bindings/replay_fields.hpp"

#include <algorithm>

#include "common/check.hpp"

namespace actormimic::bindings {

using replay::RingShape;
using replay::StackFormat;
using replay::StackType;

StackFormat stack_format(const std::string& obs_dtype, bool channels_last) {
  StackFormat format;
  format.channels_last = channels_last;
  if (obs_dtype == "float16")
    format.type = StackType::kFloat16;
  else if (obs_dtype == "bfloat16")
    format.type = StackType::kBfloat16;
  else
    require(obs_dtype == "uint8", "obs_dtype is '", obs_dtype,
            "'; allowed: uint8, float16, bfloat16");
  return format;
}

std::vector<Field> sample_fields(const RingShape& shape, const std::vector<Field>& extras,
                                 const StackFormat& format) {
  Shape stack{shape.frame_shape.begin(), shape.frame_shape.end()};
  stack.insert(format.channels_last ? stack.end() : stack.begin(), shape.stack);
  const py::dtype element = format.type == StackType::kUint8     ? py::dtype::of<std::uint8_t>()
                            : format.type == StackType::kFloat16 ? py::dtype("<f2")
                                                                 : py::dtype("<u2");
  std::vector<Field> fields{{"obs", element, stack},
                            {"actions", py::dtype::of<std::int64_t>(), {}},
                            {"rewards", py::dtype::of<float>(), {}},
                            {"next_obs", element, stack},
                            {"terminals", py::dtype::of<bool>(), {}},
                            {"discounts", py::dtype::of<float>(), {}},
                            {"index", py::dtype::of<std::int64_t>(), {}}};
  fields.insert(fields.end(), extras.begin(), extras.end());
  return fields;
}

WantedFields wanted_fields(const std::vector<Field>& known, const py::object& fields,
                           const py::object& out) {
  WantedFields wanted{};
  if (!out.is_none() && !py::isinstance<py::dict>(out))
    throw py::type_error("out is no dict of arrays");
  if (fields.is_none() && out.is_none()) {
    std::fill_n(wanted.begin(), known.size(), true);
    return wanted;
  }
  if (py::isinstance<py::str>(fields))
    throw py::type_error("fields is a string; allowed: a sequence of names");
  const py::object names = fields.is_none() ? out : fields;
  for (const py::handle name : names) {
    const auto found = std::find_if(known.begin(), known.end(),
                                    [&](const Field& field) { return field.key.equal(name); });
    if (found == known.end()) {
      std::string allowed;
      for (const Field& field : known) allowed += (allowed.empty() ? "" : ", ") + field.name;
      require(false, "field '", text(name), "' is unknown; allowed: ", allowed);
    }
    require(out.is_none() || py::reinterpret_borrow<py::dict>(out).contains(found->key),
            "out has no array for field '", found->name, "'");
    wanted[static_cast<std::size_t>(found - known.begin())] = true;
  }
  return wanted;
}

Shape batch_shape(const Field& field, py::ssize_t batch) {
  Shape shape{batch};
  shape.insert(shape.end(), field.row_shape.begin(), field.row_shape.end());
  return shape;
}

// Builds no text and no shape unless it refuses: a loop that samples into `out` calls it often.
py::array out_array(const Field& field, const py::handle& object, py::ssize_t batch,
                    const StackFormat& format) {
  if (!py::isinstance<py::array>(object))
    throw py::type_error("out['" + field.name + "'] is no numpy array");
  const auto array = py::reinterpret_borrow<py::array>(object);
  // numpy has no bfloat16: its bits come in either kind of 16-bit integer.
  const bool bits = format.type == StackType::kBfloat16 && field.dtype.itemsize() == 2 &&
                    array.dtype().kind() == 'i' && array.itemsize() == 2;
  if (!bits && !array.dtype().equal(field.dtype))
    require(false, "out['", field.name, "'] has dtype ", text(array.dtype()),
            "; allowed: ", text(field.dtype));
  if (!has_shape(array, batch, field.row_shape))
    check_shape("out['" + field.name + "']", array, batch_shape(field, batch));
  require((array.flags() & py::array::c_style) != 0, "out['", field.name, "'] is not C-contiguous");
  require((array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) != 0, "out['", field.name,
          "'] is not aligned to its elements");
  require(array.writeable(), "out['", field.name, "'] is read-only");
  return array;
}

}  // namespace actormimic::bindings
