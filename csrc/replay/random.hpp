// Counter-based random numbers: draw i of a seed is a function of both and of nothing else, so
// draws can be made in any order and repeated exactly.
#pragma once

#include <cstdint>

namespace actormimic::replay {

// The finalizer of SplitMix64 (Steele, Lea, Flood 2014): a bijection with full avalanche.
inline std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// 64 uniform bits for draw `index` of `seed`; `attempt` counts repetitions of the same draw.
inline std::uint64_t random_bits(std::uint64_t seed, std::uint64_t index, std::uint64_t attempt) {
  constexpr std::uint64_t golden = 0x9E3779B97F4A7C15u;
  const std::uint64_t key = mix(seed + golden);
  return mix(mix(key + (index + 1) * golden) + attempt * golden);
}

// Maps 64 uniform bits to [0, count): a value's probability is off by less than count / 2^64.
inline std::uint64_t bounded(std::uint64_t bits, std::uint64_t count) {
  return static_cast<std::uint64_t>(static_cast<unsigned __int128>(bits) * count >> 64);
}

}  // namespace actormimic::replay
