// Compiled with -mavx2; see pixel_loops.hpp.
#include <immintrin.h>

#include "emulator/vcs/pixel_loops.hpp"

namespace actormimic::vcs {
namespace {

struct Avx2 {
  using Bytes = __m256i;
  static constexpr int kBytes = 32;

  static Bytes load(const std::uint8_t* at) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
  }
  static void store(std::uint8_t* at, Bytes bytes) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(at), bytes);
  }
  static Bytes all(std::uint8_t byte) { return _mm256_set1_epi8(static_cast<char>(byte)); }
  static Bytes shows(Bytes mask, Bytes graphics) {
    // A mask has one bit set or none.
    const Bytes none = _mm256_setzero_si256();
    const Bytes hidden = _mm256_cmpeq_epi8(_mm256_and_si256(mask, graphics), none);
    return _mm256_cmpeq_epi8(hidden, none);
  }
  static Bytes choose(Bytes mask, Bytes on, Bytes off) { return _mm256_blendv_epi8(off, on, mask); }
  static bool any(Bytes bytes) { return _mm256_testz_si256(bytes, bytes) == 0; }
  static std::uint32_t bits(Bytes bytes) {
    return static_cast<std::uint32_t>(_mm256_movemask_epi8(bytes));
  }
};

}  // namespace

const PixelLoops detail::kAvx2Loops = loops_over<Avx2>();

}  // namespace actormimic::vcs
