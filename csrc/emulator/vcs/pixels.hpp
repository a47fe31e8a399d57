// Turning the state of the six objects into color bytes, once with vectors that every processor
// has and once with AVX2. Both give the same bytes.
#pragma once

#include <cstdint>

#include "emulator/vcs/tia_tables.hpp"

namespace actormimic::vcs {

// All that decides how a pixel looks, as of one moment. 32 bytes, because the beam keeps copies.
struct alignas(32) Scene {
  MaskPlace player[2] = {kNowhere, kNowhere};
  MaskPlace missile[2] = {kNowhere, kNowhere};  // kNowhere while it does not show
  MaskPlace ball = kNowhere;
  std::uint8_t graphics[2] = {0, 0};
  std::uint8_t background = 0;
  std::uint8_t playfield_color = 0;  // also the ball's
  std::uint8_t player_color[2] = {0, 0};
  std::uint8_t objects = 0;     // Object bits of those that show
  std::uint8_t control = 0;     // kScore, kPriority
  bool reflected = false;       // the right half mirrors the left one
  bool dark = false;            // VBLANK: neither color nor collision
  std::uint32_t playfield = 0;  // 20 bits, the leftmost is bit 0
};
static_assert(sizeof(Scene) == 32, "the beam copies scenes in one or two vector moves");

// Draws pixels [from, to) of a scene into `row`, after which up to kVectorPadding bytes may be
// overwritten. `playfield` has a byte for each pixel, 0xff or 0, and kVectorPadding more. Answers
// the collisions of these pixels, as collision_pairs() does.
using DrawPixels = std::uint32_t (*)(const Scene& scene, const std::uint8_t* playfield, int from,
                                     int to, std::uint8_t* row);

struct PixelLoops {
  void (*fill)(std::uint8_t color, int from, int to, std::uint8_t* row);
  // One for each set of objects that show, by Scene::objects.
  DrawPixels draw[64];
  // For any set, where the playfield takes the color and the priority of player 0 or player 1.
  DrawPixels draw_scored[2];
};

const PixelLoops& plain_loops();
// The fastest set that this processor runs, chosen once.
const PixelLoops& best_loops();

// Which objects are where, a bit for each of up to 32 pixels.
struct Presence {
  std::uint32_t player[2], missile[2], ball, playfield;
};
// The collision latches that these pixels set, numbered as ALE numbers them: those of the eight
// registers in order, D7 before D6, without CXBLPF's D6, which does not exist.
std::uint32_t collision_pairs(const Presence& at);

namespace detail {
extern const PixelLoops kAvx2Loops;  // only in builds for x86-64; ask the processor first
}  // namespace detail

}  // namespace actormimic::vcs
