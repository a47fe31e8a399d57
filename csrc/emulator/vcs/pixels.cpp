#include "emulator/vcs/pixels.hpp"

namespace actormimic::vcs {
namespace {

constexpr int kChunk = 16;

void fill(int from, int to, std::uint8_t color, std::uint8_t* row) {
  for (int x = from; x < to; x += kChunk)
    for (int i = 0; i < kChunk; ++i) row[x + i] = color;
}

void draw_playfield(const std::uint8_t* playfield, int from, int to, std::uint8_t background,
                    std::uint8_t color, std::uint8_t* row) {
  for (int x = from; x < to; x += kChunk) {
    for (int i = 0; i < kChunk; ++i) {
      const std::uint8_t shows = playfield[x + i];
      row[x + i] = static_cast<std::uint8_t>((color & shows) | (background & ~shows));
    }
  }
}

// Every object as a byte per pixel: 0xff where it shows.
struct Chunk {
  std::uint8_t player[2][kChunk], missile[2][kChunk], ball[kChunk], playfield[kChunk];
};

std::uint32_t bits_of(const std::uint8_t* shows, int count) {
  std::uint32_t bits = 0;
  for (int i = 0; i < count; ++i) bits |= static_cast<std::uint32_t>(shows[i] & 1) << i;
  return bits;
}

std::uint32_t draw_objects(const Scene& scene, const std::uint8_t* masks,
                           const std::uint8_t* playfield, PlayfieldShows shows, int from, int to,
                           std::uint8_t* row) {
  std::uint32_t collisions = 0;
  const std::uint8_t on_top = (scene.control & kPriority) != 0 ? 0xff : 0;
  Chunk at;
  for (int x = from; x < to; x += kChunk) {
    for (int n = 0; n < 2; ++n) {
      const std::uint8_t* player = masks + scene.player[n] + x;
      const std::uint8_t* missile = masks + scene.missile[n] + x;
      for (int i = 0; i < kChunk; ++i) {
        at.player[n][i] = (player[i] & scene.graphics[n]) != 0 ? 0xff : 0;
        at.missile[n][i] = missile[i];
      }
    }
    std::uint8_t crowded = 0;  // anywhere two objects share a pixel
    for (int i = 0; i < kChunk; ++i) {
      const std::uint8_t pf = at.playfield[i] = playfield[x + i];
      const std::uint8_t bl = at.ball[i] = masks[scene.ball + x + i];
      const std::uint8_t p0 = at.player[0][i], p1 = at.player[1][i];
      const std::uint8_t m0 = at.missile[0][i], m1 = at.missile[1][i];
      std::uint8_t seen = pf;
      std::uint8_t twice = seen & bl;
      seen |= bl;
      twice |= seen & p1;
      seen |= p1;
      twice |= seen & m1;
      seen |= m1;
      twice |= seen & p0;
      seen |= p0;
      twice |= seen & m0;
      crowded |= twice;
      const std::uint8_t back = (pf & shows.as_itself) | bl;
      const std::uint8_t top = back & on_top;
      const std::uint8_t first = (p0 | m0 | (pf & shows.as_player[0])) & ~top;
      const std::uint8_t second = (p1 | m1 | (pf & shows.as_player[1])) & ~top & ~first;
      const std::uint8_t third = back & ~first & ~second;
      row[x + i] = static_cast<std::uint8_t>(
          (scene.player_color[0] & first) | (scene.player_color[1] & second) |
          (scene.playfield_color & third) | (scene.background & ~(first | second | third)));
    }
    if (crowded != 0) {
      const int count = to - x < kChunk ? to - x : kChunk;
      collisions |= collision_pairs({{bits_of(at.player[0], count), bits_of(at.player[1], count)},
                                     {bits_of(at.missile[0], count), bits_of(at.missile[1], count)},
                                     bits_of(at.ball, count),
                                     bits_of(at.playfield, count)});
    }
  }
  return collisions;
}

constexpr PixelLoops kPlain{fill, draw_playfield, draw_objects};

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
  static const bool has_avx2 = [] {
    __builtin_cpu_init();  // a caller may itself run before main()
    return __builtin_cpu_supports("avx2") != 0;
  }();
  if (has_avx2) return detail::kAvx2Loops;
#endif
  return kPlain;
}

}  // namespace actormimic::vcs
