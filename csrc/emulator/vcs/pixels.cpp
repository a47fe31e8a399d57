#include "emulator/vcs/pixels.hpp"

#include <cstring>

#include "common/processor.hpp"
#include "emulator/vcs/pixel_loops.hpp"

namespace actormimic::vcs {
namespace {

// What the compiler makes of sixteen bytes: SSE2 on x86-64, NEON on aarch64.
struct Plain {
  typedef std::uint8_t Bytes __attribute__((vector_size(16)));
  static constexpr int kBytes = 16;

  static Bytes load(const std::uint8_t* at) {
    Bytes bytes;
    std::memcpy(&bytes, at, sizeof bytes);
    return bytes;
  }
  static void store(std::uint8_t* at, Bytes bytes) { std::memcpy(at, &bytes, sizeof bytes); }
  static Bytes all(std::uint8_t byte) { return byte - Bytes{}; }
  static Bytes shows(Bytes mask, Bytes graphics) {
    return reinterpret_cast<Bytes>((mask & graphics) != 0);
  }
  static Bytes choose(Bytes mask, Bytes on, Bytes off) { return (mask & on) | (~mask & off); }
  static bool any(Bytes bytes) {
    std::uint64_t halves[2];
    std::memcpy(halves, &bytes, sizeof halves);
    return (halves[0] | halves[1]) != 0;
  }
  static std::uint32_t bits(Bytes bytes) {
    std::uint32_t bits = 0;
    for (int i = 0; i < kBytes; ++i) bits |= static_cast<std::uint32_t>(bytes[i] & 1) << i;
    return bits;
  }
};

constexpr PixelLoops kPlain = loops_over<Plain>();

}  // namespace

std::uint32_t collision_pairs(const Presence& at) {
  const auto meet = [](std::uint32_t a, std::uint32_t b, int latch) {
    return static_cast<std::uint32_t>((a & b) != 0) << latch;
  };
  const auto [p0, p1] = at.player;
  const auto [m0, m1] = at.missile;
  return meet(m0, p1, 0) | meet(m0, p0, 1) | meet(m1, p0, 2) | meet(m1, p1, 3) |
         meet(p0, at.playfield, 4) | meet(p0, at.ball, 5) | meet(p1, at.playfield, 6) |
         meet(p1, at.ball, 7) | meet(m0, at.playfield, 8) | meet(m0, at.ball, 9) |
         meet(m1, at.playfield, 10) | meet(m1, at.ball, 11) | meet(at.ball, at.playfield, 12) |
         meet(p0, p1, 13) | meet(m0, m1, 14);
}

const PixelLoops& plain_loops() { return kPlain; }

const PixelLoops& best_loops() {
#ifdef ACTORMIMIC_X86
  if (has_avx2()) return detail::kAvx2Loops;
#endif
  return kPlain;
}

}  // namespace actormimic::vcs
