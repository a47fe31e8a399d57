// The loops of pixels.hpp over a kind of vector, for the file that compiles them for it. In an
// unnamed namespace on purpose: each of these files gets its own copy, or the linker might keep one
// file's for all and a processor without AVX2 run it. For the same reason they call nothing inline.
//
// A kind of vector V has V::Bytes of V::kBytes bytes, load, store, all (the same byte everywhere),
// shows (0xff where a mask meets the graphics), choose (by a mask of 0xff and 0), any and bits.
#pragma once

#include "emulator/vcs/pixels.hpp"

namespace actormimic::vcs {
namespace {

enum class PlayfieldAs { kItself, kPlayer0, kPlayer1 };

template <typename V>
void fill(std::uint8_t color, int from, int to, std::uint8_t* row) {
  const auto pixels = V::all(color);
  for (int x = from; x < to; x += V::kBytes) V::store(row + x, pixels);
}

template <typename V, int kObjects, PlayfieldAs kPlayfieldAs>
std::uint32_t draw(const Scene& scene, const std::uint8_t* playfield, int from, int to,
                   std::uint8_t* row) {
  using Bytes = typename V::Bytes;
  constexpr bool kP0 = (kObjects & kPlayer0) != 0, kP1 = (kObjects & kPlayer1) != 0;
  constexpr bool kM0 = (kObjects & kMissile0) != 0, kM1 = (kObjects & kMissile1) != 0;
  constexpr bool kBL = (kObjects & kBall) != 0, kPF = (kObjects & kPlayfield) != 0;
  constexpr bool kAsItself = kPlayfieldAs == PlayfieldAs::kItself;

  const std::uint8_t* const masks = kObjectMasks.bytes;
  const std::uint8_t* const player0 = masks + scene.player[0];
  const std::uint8_t* const player1 = masks + scene.player[1];
  const std::uint8_t* const missile0 = masks + scene.missile[0];
  const std::uint8_t* const missile1 = masks + scene.missile[1];
  const std::uint8_t* const ball = masks + scene.ball;
  const Bytes none = V::all(0);
  const Bytes graphics0 = V::all(scene.graphics[0]), graphics1 = V::all(scene.graphics[1]);
  const Bytes on_top = V::all((scene.control & kPriority) != 0 ? 0xff : 0);
  const Bytes background = V::all(scene.background), color = V::all(scene.playfield_color);
  const Bytes color0 = V::all(scene.player_color[0]), color1 = V::all(scene.player_color[1]);

  std::uint32_t collisions = 0;
  for (int x = from; x < to; x += V::kBytes) {
    const Bytes pf = kPF ? V::load(playfield + x) : none;
    const Bytes bl = kBL ? V::load(ball + x) : none;
    const Bytes m0 = kM0 ? V::load(missile0 + x) : none;
    const Bytes m1 = kM1 ? V::load(missile1 + x) : none;
    const Bytes p0 = kP0 ? V::shows(V::load(player0 + x), graphics0) : none;
    const Bytes p1 = kP1 ? V::shows(V::load(player1 + x), graphics1) : none;

    const Bytes back = kAsItself ? pf | bl : bl;
    const Bytes first = kPlayfieldAs == PlayfieldAs::kPlayer0 ? p0 | m0 | pf : p0 | m0;
    const Bytes second = kPlayfieldAs == PlayfieldAs::kPlayer1 ? p1 | m1 | pf : p1 | m1;
    Bytes pixels = background;
    if constexpr (kPF || kBL) pixels = V::choose(back, color, pixels);
    if constexpr (kP1 || kM1 || !kAsItself) pixels = V::choose(second, color1, pixels);
    if constexpr (kP0 || kM0 || !kAsItself) pixels = V::choose(first, color0, pixels);
    if constexpr ((kPF || kBL) && (kP0 || kM0 || kP1 || kM1))
      pixels = V::choose(back & on_top, color, pixels);
    V::store(row + x, pixels);

    if constexpr (kP0 + kP1 + kM0 + kM1 + kBL + kPF > 1) {
      // Two objects on one pixel are rare, and only then the pairs are told apart.
      const Bytes group0 = p0 | m0, group1 = p1 | m1;
      const Bytes crowded =
          (p0 & m0) | (p1 & m1) | (group0 & group1) | (pf & bl) | ((pf | bl) & (group0 | group1));
      if (V::any(crowded)) {
        const std::uint32_t drawn = to - x < 32 ? (1u << (to - x)) - 1 : 0xffffffffu;
        Presence at;
        at.player[0] = V::bits(p0) & drawn;
        at.player[1] = V::bits(p1) & drawn;
        at.missile[0] = V::bits(m0) & drawn;
        at.missile[1] = V::bits(m1) & drawn;
        at.ball = V::bits(bl) & drawn;
        at.playfield = V::bits(pf) & drawn;
        collisions |= collision_pairs(at);
      }
    }
  }
  return collisions;
}

template <typename V, int kFirst>
constexpr void list_draws(PixelLoops& loops) {
  loops.draw[kFirst] = draw<V, kFirst, PlayfieldAs::kItself>;
  if constexpr (kFirst > 0) list_draws<V, kFirst - 1>(loops);
}

template <typename V>
constexpr PixelLoops loops_over() {
  PixelLoops loops{};
  loops.fill = fill<V>;
  list_draws<V, 63>(loops);
  loops.draw_scored[0] = draw<V, 63, PlayfieldAs::kPlayer0>;
  loops.draw_scored[1] = draw<V, 63, PlayfieldAs::kPlayer1>;
  return loops;
}

}  // namespace
}  // namespace actormimic::vcs
