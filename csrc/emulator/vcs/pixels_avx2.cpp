// Compiled with -mavx2. It calls and shares nothing inline with other files, or the linker might
// keep this file's copy of such a function for all of them and a processor without AVX2 run it.
#include <immintrin.h>

#include "emulator/vcs/pixels.hpp"

namespace actormimic::vcs {
namespace {

constexpr int kChunk = 32;

__m256i load(const std::uint8_t* at) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
}
void store(std::uint8_t* at, __m256i bytes) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(at), bytes);
}
__m256i all(std::uint8_t byte) { return _mm256_set1_epi8(static_cast<char>(byte)); }

void fill(int from, int to, std::uint8_t color, std::uint8_t* row) {
  const __m256i pixels = all(color);
  for (int x = from; x < to; x += kChunk) store(row + x, pixels);
}

void draw_playfield(const std::uint8_t* playfield, int from, int to, std::uint8_t background,
                    std::uint8_t color, std::uint8_t* row) {
  const __m256i off = all(background), on = all(color);
  for (int x = from; x < to; x += kChunk)
    store(row + x, _mm256_blendv_epi8(off, on, load(playfield + x)));
}

std::uint32_t draw_objects(const Scene& scene, const std::uint8_t* masks,
                           const std::uint8_t* playfield, PlayfieldShows shows, int from, int to,
                           std::uint8_t* row) {
  const std::uint8_t* const player0 = masks + scene.player[0];
  const std::uint8_t* const player1 = masks + scene.player[1];
  const std::uint8_t* const missile0 = masks + scene.missile[0];
  const std::uint8_t* const missile1 = masks + scene.missile[1];
  const std::uint8_t* const ball = masks + scene.ball;
  const __m256i none = _mm256_setzero_si256(), full = all(0xff);
  const __m256i graphics0 = all(scene.graphics[0]), graphics1 = all(scene.graphics[1]);
  const __m256i as_itself = all(shows.as_itself);
  const __m256i as_player0 = all(shows.as_player[0]), as_player1 = all(shows.as_player[1]);
  const __m256i on_top = all((scene.control & kPriority) != 0 ? 0xff : 0);
  const __m256i background = all(scene.background), color = all(scene.playfield_color);
  const __m256i color0 = all(scene.player_color[0]), color1 = all(scene.player_color[1]);
  const auto shown = [&](const std::uint8_t* mask, __m256i graphics) {
    return _mm256_xor_si256(_mm256_cmpeq_epi8(_mm256_and_si256(load(mask), graphics), none), full);
  };
  std::uint32_t collisions = 0;
  for (int x = from; x < to; x += kChunk) {
    const __m256i pf = load(playfield + x), bl = load(ball + x);
    const __m256i m0 = load(missile0 + x), m1 = load(missile1 + x);
    const __m256i p0 = shown(player0 + x, graphics0), p1 = shown(player1 + x, graphics1);

    const __m256i back = _mm256_or_si256(_mm256_and_si256(pf, as_itself), bl);
    const __m256i group0 = _mm256_or_si256(p0, m0), group1 = _mm256_or_si256(p1, m1);
    const __m256i first = _mm256_or_si256(group0, _mm256_and_si256(pf, as_player0));
    const __m256i second = _mm256_or_si256(group1, _mm256_and_si256(pf, as_player1));
    __m256i pixels = _mm256_blendv_epi8(background, color, back);
    pixels = _mm256_blendv_epi8(pixels, color1, second);
    pixels = _mm256_blendv_epi8(pixels, color0, first);
    pixels = _mm256_blendv_epi8(pixels, color, _mm256_and_si256(back, on_top));
    store(row + x, pixels);

    // Two objects on one pixel are rare, and only then the pairs are told apart.
    const __m256i behind = _mm256_or_si256(pf, bl), players = _mm256_or_si256(group0, group1);
    const __m256i crowded = _mm256_or_si256(
        _mm256_or_si256(_mm256_and_si256(pf, bl), _mm256_and_si256(behind, players)),
        _mm256_or_si256(_mm256_and_si256(group0, group1),
                        _mm256_or_si256(_mm256_and_si256(p0, m0), _mm256_and_si256(p1, m1))));
    if (_mm256_testz_si256(crowded, crowded) == 0) {
      const std::uint32_t drawn = to - x < kChunk ? (1u << (to - x)) - 1 : 0xffffffffu;
      const auto bits = [drawn](__m256i bytes) {
        return static_cast<std::uint32_t>(_mm256_movemask_epi8(bytes)) & drawn;
      };
      Presence at;
      at.player[0] = bits(p0);
      at.player[1] = bits(p1);
      at.missile[0] = bits(m0);
      at.missile[1] = bits(m1);
      at.ball = bits(bl);
      at.playfield = bits(pf);
      collisions |= collision_pairs(at);
    }
  }
  return collisions;
}

}  // namespace

const PixelLoops detail::kAvx2Loops{fill, draw_playfield, draw_objects};

}  // namespace actormimic::vcs
