// Compiled with -mavx2, so nothing here may run before the processor was asked.
#include "frame/kernels.hpp"

#if defined(__AVX2__)

#include <immintrin.h>

namespace actormimic {
namespace {

// The 128 grays of the even color indices, as seven differences on top of the first 16: adding up
// (xor) the differences of all shuffles whose index has not gone negative leaves the wanted entry.
struct GrayTable {
  __m256i first;
  __m256i difference[7];
  explicit GrayTable(const std::uint8_t* table) {
    alignas(16) std::uint8_t even[8][16];
    for (int k = 0; k < 8; ++k)
      for (int i = 0; i < 16; ++i) even[k][i] = table[(k * 16 + i) * 2];
    __m128i before = _mm_load_si128(reinterpret_cast<const __m128i*>(even[0]));
    first = _mm256_broadcastsi128_si256(before);
    for (int k = 1; k < 8; ++k) {
      const __m128i now = _mm_load_si128(reinterpret_cast<const __m128i*>(even[k]));
      difference[k - 1] = _mm256_broadcastsi128_si256(_mm_xor_si128(now, before));
      before = now;
    }
  }

  // `index` even in every byte.
  __m256i look_up(__m256i index) const {
    __m256i half = _mm256_and_si256(_mm256_srli_epi16(index, 1), _mm256_set1_epi8(0x7f));
    const __m256i sixteen = _mm256_set1_epi8(16);
    __m256i gray = _mm256_shuffle_epi8(first, half);
    for (const __m256i& step : difference) {
      half = _mm256_sub_epi8(half, sixteen);
      gray = _mm256_xor_si256(gray, _mm256_shuffle_epi8(step, half));
    }
    return gray;
  }
};

void gray_row(const std::uint8_t* table, const std::uint8_t* a, const std::uint8_t* b, int size,
              std::uint8_t* out) {
  const GrayTable grays(table);
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
    __m256i gray = grays.look_up(x);
    const __m256i differ = _mm256_xor_si256(x, y);
    if (!_mm256_testz_si256(differ, differ)) gray = _mm256_max_epu8(gray, grays.look_up(y));
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

void shrink_row(const RowPlan& plan, const std::uint8_t* row, float* out) {
  if (!plan.fits_shuffle) return scalar_kernels().shrink_row(plan, row, out);
  const std::uint8_t* shuffle = plan.shuffle.data();
  for (int o = 0; o < plan.padded; o += 8) {
    const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row + plan.base[o / 4]));
    const __m128i high =
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(row + plan.base[o / 4 + 1]));
    const __m256i bytes = _mm256_set_m128i(high, low);
    __m256 sum = _mm256_setzero_ps();
    for (int t = 0; t < plan.taps; ++t, shuffle += 32) {
      const __m256i order = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(shuffle));
      const __m256 pixel = _mm256_cvtepi32_ps(_mm256_shuffle_epi8(bytes, order));
      const __m256 weight = _mm256_loadu_ps(&plan.weight[t * plan.padded + o]);
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

constexpr Kernels kAvx2{gray_row, max_row, shrink_row, start_sum, add_sum, store_sum};

}  // namespace

const Kernels* detail::avx2_kernels() { return __builtin_cpu_supports("avx2") ? &kAvx2 : nullptr; }

}  // namespace actormimic

#else

const actormimic::Kernels* actormimic::detail::avx2_kernels() { return nullptr; }

#endif
