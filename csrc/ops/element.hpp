// The number types of the operators: float32, bfloat16, float16 and float64, on the CPU and in
// CUDA.
//
// Half types are converted by integer arithmetic that every compiler vectorizes, so that no
// instruction set, compiler extension or framework header is needed. Rounding is to nearest even;
// subnormal numbers, infinities and NaN are kept. GPUs have instructions for it, which give the
// same bits but for those of a NaN.
#pragma once

#include <cstdint>
#include <cstring>

// The CPU kernels are compiled once for each instruction set. An out-of-line copy of a function
// shared between them could carry instructions that the machine at hand does not have: whatever
// those files include is inlined always.
#define ACTORMIMIC_INLINE inline __attribute__((always_inline))
#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#define ACTORMIMIC_ROW_MATH static __host__ __device__ __forceinline__
#else
#define ACTORMIMIC_ROW_MATH static ACTORMIMIC_INLINE
#endif

namespace actormimic::ops {

// The numbers are those that Python hands over; kernels.py has the same table.
enum class ElementType : int { kFloat32 = 0, kBFloat16 = 1, kFloat16 = 2, kFloat64 = 3 };

struct BFloat16 {
  std::uint16_t bits;
};

struct Float16 {
  std::uint16_t bits;
};

template <typename To, typename From>
ACTORMIMIC_ROW_MATH To bits_as(From value) {
  static_assert(sizeof(To) == sizeof(From), "bits_as keeps the size");
  To result;
  std::memcpy(&result, &value, sizeof(To));
  return result;
}

ACTORMIMIC_ROW_MATH float to_compute(float value) { return value; }
ACTORMIMIC_ROW_MATH double to_compute(double value) { return value; }
ACTORMIMIC_ROW_MATH float to_compute(bool value) { return static_cast<float>(value); }

ACTORMIMIC_ROW_MATH float to_compute(BFloat16 value) {
  return bits_as<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

ACTORMIMIC_ROW_MATH float to_compute(Float16 value) {
#ifdef __CUDA_ARCH__
  return __half2float(__ushort_as_half(value.bits));
#else
  // The product with 2^112 moves the exponent's bias from 15 to 127, subnormal numbers included.
  const std::uint32_t magnitude = static_cast<std::uint32_t>(value.bits & 0x7fffu) << 13;
  const std::uint32_t sign = static_cast<std::uint32_t>(value.bits & 0x8000u) << 16;
  const std::uint32_t finite = bits_as<std::uint32_t>(bits_as<float>(magnitude) * 0x1p112f);
  const std::uint32_t special = magnitude | 0x7f800000u;
  return bits_as<float>(sign | (magnitude >= 0x0f800000u ? special : finite));
#endif
}

ACTORMIMIC_ROW_MATH void store(float value, float* to) { *to = value; }
ACTORMIMIC_ROW_MATH void store(double value, double* to) { *to = value; }

ACTORMIMIC_ROW_MATH void store(float value, BFloat16* to) {
#ifdef __CUDA_ARCH__
  to->bits = __bfloat16_as_ushort(__float2bfloat16_rn(value));
#else
  const std::uint32_t bits = bits_as<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  // Rounding could carry a NaN into infinity; setting its quiet bit keeps it a NaN.
  const std::uint32_t nan = (bits >> 16) | 0x40u;
  to->bits = static_cast<std::uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
#endif
}

ACTORMIMIC_ROW_MATH void store(float value, Float16* to) {
#ifdef __CUDA_ARCH__
  to->bits = __half_as_ushort(__float2half_rn(value));
#else
  const std::uint32_t bits = bits_as<std::uint32_t>(value);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  // Normal results: round the 13 bits away, then move the bias. A carry runs into the exponent,
  // which is right, up to infinity.
  const std::uint32_t normal = (magnitude + 0xfffu + ((magnitude >> 13) & 1u) - 0x38000000u) >> 13;
  // Subnormal results: adding 0.5 lines the last bit kept up with that of 2^-24.
  const std::uint32_t subnormal =
      bits_as<std::uint32_t>(bits_as<float>(magnitude) + 0.5f) - 0x3f000000u;
  std::uint32_t half = magnitude < 0x38800000u ? subnormal : normal;
  half = magnitude >= 0x477ff000u ? 0x7c00u : half;  // rounds to 65536 or more: infinity
  half = magnitude > 0x7f800000u ? 0x7e00u : half;   // NaN
  to->bits = static_cast<std::uint16_t>(sign | half);
#endif
}

}  // namespace actormimic::ops
