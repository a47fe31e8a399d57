// Compiled with -mavx2. It calls and shares nothing inline with other files; see RowTaps.
#include <immintrin.h>

#include "frame/kernels.hpp"

namespace actormimic {
namespace {

// `index` even in every byte. Adding up (xor) the steps of all shuffles whose index has not gone
// negative leaves the wanted entry.
__m256i look_up(const GrayTable& table, __m256i index) {
  const auto step = [&](int k) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(table.step[k]));
  };
  __m256i half = _mm256_and_si256(_mm256_srli_epi16(index, 1), _mm256_set1_epi8(0x7f));
  const __m256i sixteen = _mm256_set1_epi8(16);
  __m256i gray = _mm256_shuffle_epi8(step(0), half);
  for (int k = 1; k < 8; ++k) {
    half = _mm256_sub_epi8(half, sixteen);
    gray = _mm256_xor_si256(gray, _mm256_shuffle_epi8(step(k), half));
  }
  return gray;
}

void gray_row(const GrayTable& table, const std::uint8_t* a, const std::uint8_t* b, int size,
              std::uint8_t* out) {
  const __m256i odd = _mm256_set1_epi8(1);
  int i = 0;
  for (; i + 32 <= size; i += 32) {
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a + i));
    const __m256i y = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b + i));
    if (!_mm256_testz_si256(_mm256_or_si256(x, y), odd)) {
      // Odd indices (a PAL game's color loss, a frame cut short) are not in the 128 entries.
      scalar_kernels().gray_row(table, a + i, b + i, 32, out + i);
      continue;
    }
    __m256i gray = look_up(table, x);
    const __m256i differ = _mm256_xor_si256(x, y);
    if (!_mm256_testz_si256(differ, differ)) gray = _mm256_max_epu8(gray, look_up(table, y));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), gray);
  }
  if (i < size) scalar_kernels().gray_row(table, a + i, b + i, size - i, out + i);
}

void max_row(const std::uint8_t* in, int size, std::uint8_t* inout) {
  int i = 0;
  for (; i + 32 <= size; i += 32) {
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in + i));
    const __m256i y = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(inout + i));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(inout + i), _mm256_max_epu8(x, y));
  }
  if (i < size) scalar_kernels().max_row(in + i, size - i, inout + i);
}

void shrink_row(const RowTaps& plan, const std::uint8_t* row, float* out) {
  if (!plan.fits_shuffle) return scalar_kernels().shrink_row(plan, row, out);
  const std::uint8_t* shuffle = plan.shuffle;
  for (int o = 0; o < plan.padded; o += 8) {
    const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row + plan.base[o / 4]));
    const __m128i high =
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(row + plan.base[o / 4 + 1]));
    const __m256i bytes = _mm256_set_m128i(high, low);
    __m256 sum = _mm256_setzero_ps();
    for (int t = 0; t < plan.taps; ++t, shuffle += 32) {
      const __m256i order = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(shuffle));
      const __m256 pixel = _mm256_cvtepi32_ps(_mm256_shuffle_epi8(bytes, order));
      const __m256 weight = _mm256_loadu_ps(plan.weight + t * plan.padded + o);
      sum = _mm256_add_ps(sum, _mm256_mul_ps(pixel, weight));
    }
    _mm256_storeu_ps(out + o, sum);
  }
}

void start_sum(const float* row, float beta, int size, float* sum) {
  const __m256 factor = _mm256_set1_ps(beta);
  for (int i = 0; i < size; i += 8)
    _mm256_storeu_ps(sum + i, _mm256_mul_ps(factor, _mm256_loadu_ps(row + i)));
}

void add_sum(const float* row, float beta, int size, float* sum) {
  const __m256 factor = _mm256_set1_ps(beta);
  for (int i = 0; i < size; i += 8) {
    const __m256 product = _mm256_mul_ps(factor, _mm256_loadu_ps(row + i));
    _mm256_storeu_ps(sum + i, _mm256_add_ps(_mm256_loadu_ps(sum + i), product));
  }
}

void store_sum(const float* sum, int size, std::uint8_t* out) {
  for (int i = 0; i < size; i += 8) {
    const __m256i rounded = _mm256_cvtps_epi32(_mm256_loadu_ps(sum + i));
    const __m128i words =
        _mm_packs_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out + i), _mm_packus_epi16(words, words));
  }
}

}  // namespace

const Kernels detail::kAvx2Kernels{gray_row, max_row, shrink_row, start_sum, add_sum, store_sum};

}  // namespace actormimic
