// Reads and writes of the TIA's registers, but for those that move and shape the objects.
#include "ale/emucore/Sound.hxx"
#include "emulator/vcs/tia.hpp"

namespace actormimic::vcs {

std::uint8_t Tia::peek(std::uint16_t address, std::uint32_t cycle, std::uint8_t data_bus) {
  reach(clock_of(cycle));
  if (static_cast<std::int32_t>(cycle) >= attention_) attend();
  const std::uint8_t noise = data_bus & 0x3f;
  const int reg = address & 0x0f;
  if (reg < 8) {
    draw();
    // Two latches a register; CXBLPF has only D7, so the last register's two sit one bit lower.
    const int latch = reg == 7 ? 13 : 2 * reg;
    const bool d7 = (collisions_ >> latch & 1) != 0;
    const bool d6 = reg != 6 && (collisions_ >> (latch + 1) & 1) != 0;
    return static_cast<std::uint8_t>((d7 ? 0x80 : 0) | (d6 ? 0x40 : 0) | noise);
  }
  const bool high = reg < 12 ? paddle_charged(reg - 8, cycle) : reg < 14 && trigger_up_[reg - 12];
  return static_cast<std::uint8_t>((high ? 0x80 : 0) | noise);
}

bool Tia::paddle_charged(int n, std::uint32_t cycle) const {
  const std::uint32_t needed = charge_[n];
  if (needed == kShorted) return true;
  if (needed == kOpen || dumped_) return false;
  return cycle > static_cast<std::uint32_t>(dump_end_) + needed;
}

void Tia::write(int reg, std::uint8_t value, std::uint32_t& cycle) {
  const int clock = clock_of(cycle);
  reach(clock + delay(reg, cycle));
  if (static_cast<std::int32_t>(cycle) >= attention_) {
    attend();
    if (clock >= 3 * last_cycle_) stopped_ = true;
    if (rewrite_[reg] == value) return;
  }
  rewrite_[reg] = value;  // until one of the functions below knows better
  switch (reg) {
    case kVsync:
      return vertical_sync(value, clock);
    case kVblank:
      return vertical_blank(value, cycle);
    case kNusiz0:
    case kNusiz1:
      return number_and_size(reg - kNusiz0, value);
    case kColup0:
    case kColup1:
    case kColupf:
    case kColubk:
      return color(reg, value);
    case kCtrlpf:
      return control_playfield(value, cycle);
    case kRefp0:
    case kRefp1:
      return reflect(reg - kRefp0, value);
    case kPf0:
    case kPf1:
    case kPf2:
      return playfield(reg, value);
    case kGrp0:
    case kGrp1:
      return player_graphics(reg - kGrp0, value);
    case kEnam0:
    case kEnam1:
      return enable_missile(reg - kEnam0, value);
    case kEnabl:
      return enable_ball(value);
    case kHmp0:
    case kHmp1:
    case kHmm0:
    case kHmm1:
    case kHmbl:
      return motion(reg, value, clock);
    case kVdelp0:
    case kVdelp1:
    case kVdelbl:
      return vertical_delay(reg, value);
    case kResmp0:
    case kResmp1:
      return lock_missile(reg - kResmp0, value);
    // The others do something each time.
    case kWsync:
      rewrite_[reg] = kAlways;
      return wait_for_line(cycle);
    case kResp0:
    case kResp1:
      rewrite_[reg] = kAlways;
      return reset_player(reg - kResp0, cycle);
    case kResm0:
    case kResm1:
      rewrite_[reg] = kAlways;
      return reset_missile(reg - kResm0, cycle);
    case kResbl:
      rewrite_[reg] = kAlways;
      return reset_ball(cycle);
    case kHmove:
      rewrite_[reg] = kAlways;
      return apply_motion(cycle);
    case kHmclr:
      rewrite_[reg] = kAlways;
      return clear_motion();
    case kCxclr:
      rewrite_[reg] = kAlways;
      draw();
      collisions_ = 0;
      return;
    case kAudc0:
    case kAudc1:
    case kAudf0:
    case kAudf1:
    case kAudv0:
    case kAudv1:
      rewrite_[reg] = kAlways;
      return sound_->set(static_cast<std::uint16_t>(reg), value, static_cast<int>(cycle));
    default:  // RSYNC, which nothing emulates, and addresses without a register
      return;
  }
}

// Accesses that must not be passed over.
void Tia::attend() {
  if (star_field_) draw();
  if (!awaits_beam() || reached_ <= motion_reached_) return;
  const int first_pixel = line_end_ - kPixels;
  if (reached_ > first_pixel) return draw_due();
  // Within the horizontal blank nothing is drawn, but how far the beam has come must be noted.
  if (reached_ > display_start_) note_blank(reached_ - first_pixel);
}

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

void Tia::color(int reg, std::uint8_t value) {
  const std::uint8_t shade = (value & 0xfe) | color_loss_;
  std::uint8_t* const colors[] = {&scene_.player_color[0], &scene_.player_color[1],
                                  &scene_.playfield_color, &scene_.background};
  // A playfield in score mode shows the players' colors.
  const int score = (scene_.control & kScore) != 0 ? kPlayfield : 0;
  const int users[] = {kPlayer0 | kMissile0 | score, kPlayer1 | kMissile1 | score,
                       kPlayfield | kBall, 0xff};
  const int which = reg - kColup0;
  if (*colors[which] == shade) return;
  if (reg == kColubk || shows(users[which])) draw();
  *colors[which] = shade;
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
