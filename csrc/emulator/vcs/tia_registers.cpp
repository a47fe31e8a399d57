// The registers of the whole picture: synchronization, colors, playfield, collisions.
#include "emulator/vcs/tia.hpp"

namespace actormimic::vcs {

void Tia::vertical_sync(std::uint8_t value, int clock) {
  vsync_ = value;
  if ((value & 2) != 0) {
    // Three lines by Atari's manual, but some games are content with less.
    vsync_finish_ = clock + kLineClocks;
  } else if (clock >= vsync_finish_) {
    vsync_finish_ = kNever;
    stopped_ = true;
  }
  if (vsync_finish_ != kNever) rewrite_[kVsync] = kAlways;
}

void Tia::vertical_blank(std::uint8_t value, std::uint32_t cycle) {
  const std::uint8_t changed = vblank_ ^ value;
  if ((changed & 0x80) != 0) {
    dumped_ = (value & 0x80) != 0;
    if (!dumped_) dump_end_ = static_cast<std::int32_t>(cycle);
  }
  if ((changed & 2) != 0) {
    draw();
    scene_.dark = (value & 2) != 0;
  }
  vblank_ = value;
}

void Tia::player_color(int n, std::uint8_t value) {
  const std::uint8_t shade = (value & 0xfe) | color_loss_;
  if (scene_.player_color[n] == shade) return;
  // A playfield in score mode shows the players' colors.
  const int score = (scene_.control & kScore) != 0 ? kPlayfield : 0;
  if (shows((n == 0 ? kPlayer0 | kMissile0 : kPlayer1 | kMissile1) | score)) draw();
  scene_.player_color[n] = shade;
}

void Tia::playfield_color(std::uint8_t value) {
  const std::uint8_t shade = (value & 0xfe) | color_loss_;
  if (scene_.playfield_color == shade) return;
  if (shows(kPlayfield | kBall)) draw();
  scene_.playfield_color = shade;
}

void Tia::background_color(std::uint8_t value) {
  const std::uint8_t shade = (value & 0xfe) | color_loss_;
  if (scene_.background == shade) return;
  draw();
  scene_.background = shade;
}

void Tia::clear_collisions() {
  draw();
  collisions_ = 0;
}

void Tia::control_playfield(std::uint8_t value, std::uint32_t cycle) {
  const bool reflect = (value & 1) != 0;
  constexpr int kShows = 0x37;  // ball size, priority, score, reflection
  if (((ctrlpf_ ^ value) & kShows) != 0 || scene_.reflected != reflect) {
    draw();
    scene_.control = static_cast<std::uint8_t>((value & 6) << 5);
    // The right half mirrors the left, or does not, as of when the beam enters it.
    if (3 * cycle_of_line(cycle) < kBlankClocks + kPixels / 2 - 1 && scene_.reflected != reflect) {
      scene_.reflected = reflect;
      playfield_stale_ = true;
    }
  }
  ctrlpf_ = value;
  ball_.shape = ball_shape(value);
  ball_.place = place_at(ball_.shape, ball_.position);
  if (shows(kBall)) scene_.ball = ball_.place;
  if (scene_.reflected != reflect) {
    line_matters_ = true;
    rewrite_[kCtrlpf] = kAlways;
  }
}

void Tia::playfield(int reg, std::uint8_t value) {
  std::uint32_t bits = scene_.playfield;
  switch (reg) {
    case kPf0:
      bits = (bits & 0xffff0) | value >> 4;
      break;
    case kPf1:
      bits = (bits & 0xff00f) | static_cast<std::uint32_t>(kReversedBits.of[value]) << 4;
      break;
    default:
      bits = (bits & 0x00fff) | static_cast<std::uint32_t>(value) << 12;
      break;
  }
  if (bits == scene_.playfield) return;
  draw();
  scene_.playfield = bits;
  playfield_stale_ = true;
  show(kPlayfield, bits != 0);
}

}  // namespace actormimic::vcs
