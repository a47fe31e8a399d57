#include "frame/kernels.hpp"

#include <algorithm>
#include <cmath>

#include "common/processor.hpp"

namespace actormimic {
namespace {

void gray_row(const GrayTable& table, const std::uint8_t* a, const std::uint8_t* b, int size,
              std::uint8_t* out) {
  for (int i = 0; i < size; ++i) out[i] = std::max(table.gray[a[i]], table.gray[b[i]]);
}

void max_row(const std::uint8_t* in, int size, std::uint8_t* inout) {
  for (int i = 0; i < size; ++i) inout[i] = std::max(inout[i], in[i]);
}

void shrink_row(const RowTaps& plan, const std::uint8_t* row, float* out) {
  for (int o = 0; o < plan.padded; ++o) {
    const std::uint8_t* source = row + plan.offset[o];
    float sum = 0.0f;
    for (int t = 0; t < plan.taps; ++t)
      sum += source[t * plan.channels] * plan.weight[t * plan.padded + o];
    out[o] = sum;
  }
}

void start_sum(const float* row, float beta, int size, float* sum) {
  for (int i = 0; i < size; ++i) sum[i] = beta * row[i];
}

void add_sum(const float* row, float beta, int size, float* sum) {
  for (int i = 0; i < size; ++i) sum[i] += beta * row[i];
}

void store_sum(const float* sum, int size, std::uint8_t* out) {
  for (int i = 0; i < size; ++i)
    out[i] = static_cast<std::uint8_t>(std::clamp(std::lrintf(sum[i]), 0L, 255L));
}

constexpr Kernels kScalar{gray_row, max_row, shrink_row, start_sum, add_sum, store_sum};

}  // namespace

const Kernels& scalar_kernels() { return kScalar; }

const Kernels& best_kernels() {
#ifdef ACTORMIMIC_X86
  if (has_avx2()) return detail::kAvx2Kernels;
#endif
  return kScalar;
}

GrayTable make_gray_table(const std::uint8_t* gray) {
  GrayTable table;
  std::copy(gray, gray + 256, table.gray);
  for (int k = 0; k < 8; ++k) {
    for (int i = 0; i < 32; ++i) {
      const int even = (k * 16 + i % 16) * 2;
      table.step[k][i] = k == 0 ? gray[even] : gray[even] ^ gray[even - 32];
    }
  }
  return table;
}

}  // namespace actormimic
