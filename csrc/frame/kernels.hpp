// The inner loops of a frame, once as plain loops and once with AVX2. Both give the same bytes.
#pragma once

#include <cstdint>

namespace actormimic {

// Rows are padded: loops may read kRowPadding bytes and write 8 outputs past the end of one.
inline constexpr int kRowPadding = 32;

// A palette's grays, and again as a vector unit looks them up: the 128 of the even color indices as
// the first 16 and seven differences (xor) from one 16 to the next, each twice, once for each lane.
struct GrayTable {
  std::uint8_t gray[256];
  std::uint8_t step[8][32];
};
GrayTable make_gray_table(const std::uint8_t* gray);  // of 256 grays

// The arrays of a RowPlan, which says what they hold. Plain pointers: the file that is compiled for
// AVX2 must see no inline function that other files see too, or the linker may keep its copy of
// that function for all of them, and a processor without AVX2 would run it.
struct RowTaps {
  int padded;
  int taps;
  int channels;
  bool fits_shuffle;
  const std::int32_t* offset;
  const float* weight;
  const std::uint8_t* shuffle;
  const std::int32_t* base;
};

struct Kernels {
  // out[i] = max(table.gray[a[i]], table.gray[b[i]]); `b` may equal `a`.
  void (*gray_row)(const GrayTable& table, const std::uint8_t* a, const std::uint8_t* b, int size,
                   std::uint8_t* out);
  // inout[i] = max(inout[i], in[i])
  void (*max_row)(const std::uint8_t* in, int size, std::uint8_t* inout);
  // out[o] = sum over t of row[offset[o] + t * channels] * weight[t][o], in the order of t
  void (*shrink_row)(const RowTaps& plan, const std::uint8_t* row, float* out);
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
extern const Kernels kAvx2Kernels;  // only in builds for x86-64; ask the processor first
}  // namespace detail

}  // namespace actormimic
