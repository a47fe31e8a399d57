// Reads and writes: which register is whose.
#include "emulator/vcs/tia.hpp"

#include "ale/emucore/Sound.hxx"

namespace actormimic::vcs {
namespace {

constexpr std::uint64_t bit(Register reg) { return std::uint64_t{1} << reg; }

// Registers that do something at each write, whatever they held. Sound is among them, because for
// ALE's sound it matters when a register was written.
constexpr std::uint64_t kStrobes = bit(kResp0) | bit(kResp1) | bit(kResm0) | bit(kResm1) |
                                   bit(kResbl) | bit(kHmove) | bit(kHmclr) | bit(kCxclr) |
                                   bit(kAudc0) | bit(kAudc1) | bit(kAudf0) | bit(kAudf1) |
                                   bit(kAudv0) | bit(kAudv1);

}  // namespace

std::uint8_t Tia::peek(std::uint16_t address, std::uint32_t cycle, std::uint8_t data_bus) {
  reach(clock_of(cycle));
  if (static_cast<std::int32_t>(cycle) >= attention_) follow_beam();
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

void Tia::write(int reg, std::uint8_t value, std::uint32_t cycle) {
  // The functions below may know better.
  rewrite_[reg] = (kStrobes >> reg & 1) != 0 ? kAlways : value;
  switch (reg) {
    case kVsync:
      return vertical_sync(value, clock_of(cycle));
    case kVblank:
      return vertical_blank(value, cycle);
    case kNusiz0:
    case kNusiz1:
      return number_and_size(reg - kNusiz0, value);
    case kColup0:
    case kColup1:
      return player_color(reg - kColup0, value);
    case kColupf:
      return playfield_color(value);
    case kColubk:
      return background_color(value);
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
      return motion(reg, value, clock_of(cycle));
    case kVdelp0:
    case kVdelp1:
    case kVdelbl:
      return vertical_delay(reg, value);
    case kResmp0:
    case kResmp1:
      return lock_missile(reg - kResmp0, value);
    case kResp0:
    case kResp1:
      return reset_player(reg - kResp0, cycle);
    case kResm0:
    case kResm1:
      return reset_missile(reg - kResm0, cycle);
    case kResbl:
      return reset_ball(cycle);
    case kHmove:
      return apply_motion(cycle);
    case kHmclr:
      return clear_motion();
    case kCxclr:
      return clear_collisions();
    case kAudc0:
    case kAudc1:
    case kAudf0:
    case kAudf1:
    case kAudv0:
    case kAudv1:
      return sound_->set(static_cast<std::uint16_t>(reg), value, static_cast<int>(cycle));
    default:  // RSYNC, which nothing emulates, and addresses without a register
      return;
  }
}

void Tia::attend(std::uint32_t cycle) {
  follow_beam();
  if (clock_of(cycle) >= 3 * last_cycle_) stopped_ = true;
}

// What must not wait until the beam is drawn.
void Tia::follow_beam() {
  if (star_field_) draw();
  // A reset in an unfinished frame leaves the beam before the display.
  if (reached_ < display_start_) return;
  if (!awaits_beam() || reached_ <= motion_reached_) return;
  const int first_pixel = line_end_ - kPixels;
  if (reached_ > first_pixel) return draw_due();
  // Within the horizontal blank nothing is drawn, but how far the beam has come must be noted.
  if (reached_ > display_start_) note_blank(reached_ - first_pixel);
}

}  // namespace actormimic::vcs
