// The inner loops of a frame, once as plain loops and once with AVX2. Both give the same bytes.
#pragma once

#include <cstdint>

#include "frame/area_axis.hpp"

namespace actormimic {

// Rows are padded: loops may read kRowPadding bytes and write 8 outputs past the end of one.
inline constexpr int kRowPadding = 32;

struct Kernels {
  // out[i] = max(table[a[i]], table[b[i]]); `b` may equal `a`.
  void (*gray_row)(const std::uint8_t* table, const std::uint8_t* a, const std::uint8_t* b,
                   int size, std::uint8_t* out);
  // inout[i] = max(inout[i], in[i])
  void (*max_row)(const std::uint8_t* in, int size, std::uint8_t* inout);
  // out[o] = sum over t of row[plan.offset[o] + t * channels] * weight[t][o], in the order of t
  void (*shrink_row)(const RowPlan& plan, const std::uint8_t* row, float* out);
  // sum = beta * row, or sum += beta * row
  void (*start_sum)(const float* row, float beta, int size, float* sum);
  void (*add_sum)(const float* row, float beta, int size, float* sum);
  // out = sum rounded half to even; `size` is padded to 8, `out` too
  void (*store_sum)(const float* sum, int size, std::uint8_t* out);
};

const Kernels& scalar_kernels();
// The fastest set that this processor runs, chosen once.
const Kernels& best_kernels();

namespace detail {
// Null where the build is not for x86-64.
const Kernels* avx2_kernels();
}  // namespace detail

}  // namespace actormimic
