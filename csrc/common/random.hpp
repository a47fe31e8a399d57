// Counter-based random numbers: draw i of a seed is a function of both and of nothing else, so
// draws can be made in any order and repeated exactly, on the CPU and on CUDA.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define ACTORMIMIC_EVERYWHERE __host__ __device__
#else
#define ACTORMIMIC_EVERYWHERE
#endif

namespace actormimic {

inline constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15u;

// The finalizer of SplitMix64 (Steele, Lea, Flood 2014): a bijection with full avalanche.
ACTORMIMIC_EVERYWHERE inline std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// 64 uniform bits for draw `index` of `seed`; `attempt` counts repetitions of the same draw.
ACTORMIMIC_EVERYWHERE inline std::uint64_t random_bits(std::uint64_t seed, std::uint64_t index,
                                                       std::uint64_t attempt) {
  const std::uint64_t key = mix(seed + kGolden);
  return mix(mix(key + (index + 1) * kGolden) + attempt * kGolden);
}

// The seed of use number `counter` of a purpose, `prefix` being what the seed and the purpose were
// mixed into: the last round of derive_seed in actormimic/randomness.py.
ACTORMIMIC_EVERYWHERE inline std::uint64_t derived_seed(std::uint64_t prefix,
                                                        std::uint64_t counter) {
  return mix((prefix ^ counter) + kGolden) >> 1;
}

// Maps 64 uniform bits to [0, count): a value's probability is off by less than count / 2^64.
ACTORMIMIC_EVERYWHERE inline std::uint64_t bounded(std::uint64_t bits, std::uint64_t count) {
#ifdef __CUDA_ARCH__
  return __umul64hi(bits, count);
#else
  return static_cast<std::uint64_t>(static_cast<unsigned __int128>(bits) * count >> 64);
#endif
}

}  // namespace actormimic
