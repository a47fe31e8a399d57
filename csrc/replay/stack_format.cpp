#include "replay/stack_format.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "common/check.hpp"
#include "common/processor.hpp"
#include "replay/ring_layout.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace actormimic::replay {

namespace {

// byte / 255 is computed as byte * (1 / 255) in float32: the two differ in the last place for some
// bytes, but never after rounding to 16 bits (the tests compare all 256).
constexpr float kScale = 1.0f / 255.0f;

std::uint32_t float_bits(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

// Round to nearest even; for finite numbers.
std::uint16_t to_bfloat16(float value) {
  const std::uint32_t bits = float_bits(value);
  return static_cast<std::uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

// Round to nearest even; for 0 and numbers from 2^-14, the smallest normal one, to 1.
std::uint16_t to_float16(float value) {
  const std::uint32_t bits = float_bits(value);
  if (bits == 0) return 0;
  const std::uint32_t rebiased = bits - ((127u - 15u) << 23);
  return static_cast<std::uint16_t>((rebiased + 0xFFFu + ((rebiased >> 13) & 1u)) >> 13);
}

using Table = std::array<std::uint16_t, 256>;

const Table& table(StackType type) {
  static const auto make = [](std::uint16_t (*convert)(float)) {
    Table values;
    for (int byte = 0; byte < 256; ++byte)
      values[static_cast<std::size_t>(byte)] = convert(static_cast<float>(byte) * kScale);
    return values;
  };
  static const Table float16 = make(to_float16);
  static const Table bfloat16 = make(to_bfloat16);
  return type == StackType::kFloat16 ? float16 : bfloat16;
}

void convert_scalar(const std::uint8_t* in, std::size_t count, StackType type, std::byte* out) {
  if (type == StackType::kUint8) {
    std::memcpy(out, in, count);
    return;
  }
  const Table& values = table(type);
  for (std::size_t i = 0; i < count; ++i)
    std::memcpy(out + 2 * i, &values[in[i]], sizeof(std::uint16_t));
}

void interleave_scalar(const std::uint8_t* frames, std::size_t stack, std::size_t pixels,
                       std::size_t begin, std::size_t end, std::uint8_t* out) {
  for (std::size_t pixel = begin; pixel < end; ++pixel)
    for (std::size_t frame = 0; frame < stack; ++frame) *out++ = frames[frame * pixels + pixel];
}

#if defined(__x86_64__)

bool has_avx2_and_f16c() {
  static const bool has = has_avx2() && __builtin_cpu_supports("f16c");
  return has;
}

__attribute__((target("avx2,f16c"))) __m256 load_scaled(const std::uint8_t* in) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(in));
  return _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)), _mm256_set1_ps(kScale));
}

__attribute__((target("avx2,f16c"))) __m256i round_to_bfloat16(__m256 values) {
  const __m256i bits = _mm256_castps_si256(values);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
  return _mm256_srli_epi32(rounded, 16);
}

// Converts a multiple of 16 and returns how many that was.
__attribute__((target("avx2,f16c"))) std::size_t convert_simd(const std::uint8_t* in,
                                                              std::size_t count, StackType type,
                                                              std::byte* out) {
  if (type == StackType::kUint8 || !has_avx2_and_f16c()) return 0;
  const std::size_t whole = count / 16 * 16;
  for (std::size_t i = 0; i < whole; i += 16) {
    const __m256 low = load_scaled(in + i);
    const __m256 high = load_scaled(in + i + 8);
    __m256i halves;
    if (type == StackType::kFloat16) {
      constexpr int kNearestEven = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
      halves =
          _mm256_set_m128i(_mm256_cvtps_ph(high, kNearestEven), _mm256_cvtps_ph(low, kNearestEven));
    } else {
      // packus works within 128-bit halves: put the middle quarters back in order.
      halves = _mm256_permute4x64_epi64(
          _mm256_packus_epi32(round_to_bfloat16(low), round_to_bfloat16(high)),
          _MM_SHUFFLE(3, 1, 2, 0));
    }
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 2 * i), halves);
  }
  return whole;
}

template <bool kStream>
void store_16_bytes(std::uint8_t* to, __m128i bytes) {
  if constexpr (kStream)
    _mm_stream_si128(reinterpret_cast<__m128i*>(to), bytes);
  else
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
}

// Interleaves four frames, 16 pixels at a time; SSE2 is part of x86-64.
template <bool kStream>
std::size_t interleave4_simd(const std::uint8_t* frames, std::size_t pixels, std::size_t begin,
                             std::size_t end, std::uint8_t* out) {
  const std::size_t whole = (end - begin) / 16 * 16;
  const auto load = [&](std::size_t frame, std::size_t pixel) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(frames + frame * pixels + pixel));
  };
  for (std::size_t i = 0; i < whole; i += 16) {
    const __m128i a = load(0, begin + i), b = load(1, begin + i);
    const __m128i c = load(2, begin + i), d = load(3, begin + i);
    const __m128i ab_low = _mm_unpacklo_epi8(a, b), ab_high = _mm_unpackhi_epi8(a, b);
    const __m128i cd_low = _mm_unpacklo_epi8(c, d), cd_high = _mm_unpackhi_epi8(c, d);
    std::uint8_t* to = out + 4 * i;
    store_16_bytes<kStream>(to, _mm_unpacklo_epi16(ab_low, cd_low));
    store_16_bytes<kStream>(to + 16, _mm_unpackhi_epi16(ab_low, cd_low));
    store_16_bytes<kStream>(to + 32, _mm_unpacklo_epi16(ab_high, cd_high));
    store_16_bytes<kStream>(to + 48, _mm_unpackhi_epi16(ab_high, cd_high));
  }
  return whole;
}

#elif defined(__aarch64__)

// Converts a multiple of 8 and returns how many that was.
std::size_t convert_simd(const std::uint8_t* in, std::size_t count, StackType type,
                         std::byte* out) {
  if (type == StackType::kUint8) return 0;
  const std::size_t whole = count / 8 * 8;
  for (std::size_t i = 0; i < whole; i += 8) {
    const uint16x8_t wide = vmovl_u8(vld1_u8(in + i));
    const float32x4_t low = vmulq_n_f32(vcvtq_f32_u32(vmovl_u16(vget_low_u16(wide))), kScale);
    const float32x4_t high = vmulq_n_f32(vcvtq_f32_u32(vmovl_u16(vget_high_u16(wide))), kScale);
    uint16x8_t halves;
    if (type == StackType::kFloat16) {
      halves = vcombine_u16(vreinterpret_u16_f16(vcvt_f16_f32(low)),
                            vreinterpret_u16_f16(vcvt_f16_f32(high)));
    } else {
      const auto round = [](float32x4_t values) {
        const uint32x4_t bits = vreinterpretq_u32_f32(values);
        const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
        return vshrn_n_u32(vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7FFF))), 16);
      };
      halves = vcombine_u16(round(low), round(high));
    }
    vst1q_u8(reinterpret_cast<std::uint8_t*>(out + 2 * i), vreinterpretq_u8_u16(halves));
  }
  return whole;
}

template <bool kStream>
std::size_t interleave4_simd(const std::uint8_t* frames, std::size_t pixels, std::size_t begin,
                             std::size_t end, std::uint8_t* out) {
  const std::size_t whole = (end - begin) / 16 * 16;
  for (std::size_t i = 0; i < whole; i += 16) {
    uint8x16x4_t columns;
    for (std::size_t frame = 0; frame < 4; ++frame)
      columns.val[frame] = vld1q_u8(frames + frame * pixels + begin + i);
    vst4q_u8(out + 4 * i, columns);
  }
  return whole;
}

#else

std::size_t convert_simd(const std::uint8_t*, std::size_t, StackType, std::byte*) { return 0; }

template <bool kStream>
std::size_t interleave4_simd(const std::uint8_t*, std::size_t, std::size_t, std::size_t,
                             std::uint8_t*) {
  return 0;
}

#endif

void convert(const std::uint8_t* in, std::size_t count, StackType type, std::byte* out) {
  const std::size_t done = convert_simd(in, count, type, out);
  convert_scalar(in + done, count - done, type, out + done * StackFormat{type}.element_bytes());
}

template <bool kStream>
void interleave(const std::uint8_t* frames, std::size_t stack, std::size_t pixels,
                std::size_t begin, std::size_t end, std::uint8_t* out) {
  std::size_t done = 0;
  if (stack == 4) done = interleave4_simd<kStream>(frames, pixels, begin, end, out);
  interleave_scalar(frames, stack, pixels, begin + done, end, out + done * stack);
}

// Pixels interleaved at a time: small enough to stay in the first-level cache until converted.
constexpr std::size_t kTilePixels = 128;

}  // namespace

void format_stack(const std::uint8_t* frames, std::size_t stack, std::size_t pixels,
                  const StackFormat& format, bool stream, std::byte* out) {
  if (!format.channels_last) {
    convert(frames, stack * pixels, format.type, out);
    return;
  }
  if (format.type == StackType::kUint8) {  // nothing to convert: straight to where they belong
    auto* bytes = reinterpret_cast<std::uint8_t*>(out);
    const bool aligned = reinterpret_cast<std::uintptr_t>(out) % 16 == 0;
    if (stream && aligned)
      interleave<true>(frames, stack, pixels, 0, pixels, bytes);
    else
      interleave<false>(frames, stack, pixels, 0, pixels, bytes);
    return;
  }
  require(stack <= kMaxStack, "a stack has ", stack, " frames; allowed: at most ", kMaxStack);
  std::uint8_t tile[kTilePixels * kMaxStack];
  for (std::size_t begin = 0; begin < pixels; begin += kTilePixels) {
    const std::size_t end = std::min(begin + kTilePixels, pixels);
    interleave<false>(frames, stack, pixels, begin, end, tile);
    convert(tile, (end - begin) * stack, format.type, out + begin * stack * format.element_bytes());
  }
}

void format_stack_scalar(const std::uint8_t* frames, std::size_t stack, std::size_t pixels,
                         const StackFormat& format, std::byte* out) {
  const std::size_t bytes = format.element_bytes();
  for (std::size_t pixel = 0; pixel < pixels; ++pixel)
    for (std::size_t frame = 0; frame < stack; ++frame) {
      const std::size_t to = format.channels_last ? pixel * stack + frame : frame * pixels + pixel;
      convert_scalar(frames + frame * pixels + pixel, 1, format.type, out + to * bytes);
    }
}

}  // namespace actormimic::replay
