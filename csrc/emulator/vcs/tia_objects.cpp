// The five movable objects: their shapes, where they stand and how HMOVE and the RES strobes move
// them. Registers may run ahead of the picture; what shows changes only after draw().
#include "emulator/vcs/tia.hpp"

namespace actormimic::vcs {
namespace {

constexpr std::uint8_t kPlayers[2] = {kPlayer0, kPlayer1};
constexpr std::uint8_t kMissiles[2] = {kMissile0, kMissile1};

std::int16_t wrapped(int position) {
  return static_cast<std::int16_t>(position >= kPixels ? position - kPixels
                                   : position < 0      ? position + kPixels
                                                       : position);
}

// Missiles and the ball start `late` clocks after the strobe; in the blank they wait for its end.
std::int16_t reset_position(int clock_of_line, int late, int in_blank) {
  if (clock_of_line < kBlankClocks) return static_cast<std::int16_t>(in_blank);
  return static_cast<std::int16_t>((clock_of_line - kBlankClocks + late) % kPixels);
}

}  // namespace

void Tia::show_player(int n) {
  const Player& player = player_[n];
  std::uint8_t graphics = player.vertical_delay ? player.delayed : player.graphics;
  if (player.reflected) graphics = kReversedBits.of[graphics];
  if (graphics == scene_.graphics[n]) return;
  draw();
  scene_.graphics[n] = graphics;
  show(kPlayers[n], graphics != 0);
}

void Tia::show_missile(int n) {
  const bool on = missile_[n].enabled && !missile_[n].locked;
  if (on == shows(kMissiles[n])) return;
  draw();
  scene_.missile[n] = on ? missile_[n].place : kNowhere;
  show(kMissiles[n], on);
}

void Tia::show_ball() {
  const bool on = ball_.vertical_delay ? ball_.delayed : ball_.enabled;
  if (on == shows(kBall)) return;
  draw();
  scene_.ball = on ? ball_.place : kNowhere;
  show(kBall, on);
}

void Tia::place_missile(int n, int position) {
  Missile& missile = missile_[n];
  missile.position = static_cast<std::int16_t>(position);
  const MaskPlace place = place_at(missile.shape, position);
  if (place == missile.place) return;
  missile.place = place;
  if (!shows(kMissiles[n])) return;
  draw();
  scene_.missile[n] = place;
}

void Tia::place_ball(int position) {
  ball_.position = static_cast<std::int16_t>(position);
  const MaskPlace place = place_at(ball_.shape, position);
  if (place == ball_.place) return;
  ball_.place = place;
  if (!shows(kBall)) return;
  draw();
  scene_.ball = place;
}

void Tia::number_and_size(int n, std::uint8_t value) {
  Player& player = player_[n];
  const MaskPlace shape = player_shape(value, false);
  const MaskPlace place = place_at(shape, player.position);
  if (place != scene_.player[n] && shows(kPlayers[n])) draw();
  missile_[n].shape = missile_shape(value);
  place_missile(n, missile_[n].position);
  scene_.player[n] = place;
  player.shape = shape;
  player.nusiz = value;
}

void Tia::reflect(int n, std::uint8_t value) {
  player_[n].reflected = (value & 8) != 0;
  show_player(n);
}

void Tia::player_graphics(int n, std::uint8_t value) {
  // Writing one player's graphics hands the other its old ones, and GRP1 the ball's as well.
  Player& player = player_[n];
  Player& other = player_[1 - n];
  // After a change the same byte in the other register means new old graphics.
  if (player.graphics != value) rewrite_[n == 0 ? kGrp1 : kGrp0] = kAlways;
  player.graphics = value;
  other.delayed = other.graphics;
  if (!player.vertical_delay) show_player(n);
  if (other.vertical_delay) show_player(1 - n);
  if (n == 1) {
    ball_.delayed = ball_.enabled;
    if (ball_.vertical_delay) show_ball();
  }
}

void Tia::enable_missile(int n, std::uint8_t value) {
  missile_[n].enabled = (value & 2) != 0;
  show_missile(n);
}

void Tia::enable_ball(std::uint8_t value) {
  ball_.enabled = (value & 2) != 0;
  if (ball_.enabled != ball_.delayed) rewrite_[kGrp1] = kAlways;
  show_ball();
}

void Tia::lock_missile(int n, std::uint8_t value) {
  Missile& missile = missile_[n];
  const Player& player = player_[n];
  const bool lock = (value & 2) != 0;
  if (missile.locked && !lock) {
    const int middle = (player.nusiz & 7) == 5 ? 8 : (player.nusiz & 7) == 7 ? 16 : 4;
    place_missile(n, (player.position + middle) % kPixels);
  }
  missile.locked = lock;
  show_missile(n);
}

void Tia::vertical_delay(int reg, std::uint8_t value) {
  const bool delay = (value & 1) != 0;
  if (reg == kVdelbl) {
    ball_.vertical_delay = delay;
    return show_ball();
  }
  player_[reg - kVdelp0].vertical_delay = delay;
  show_player(reg - kVdelp0);
}

void Tia::motion(int reg, std::uint8_t value, int clock) {
  const std::uint8_t motion = value >> 4;
  if (motion != 0) moving_ = true;
  switch (reg) {
    case kHmp0:
      player_[0].motion = motion;
      break;
    case kHmp1:
      player_[1].motion = motion;
      break;
    case kHmm1:
      missile_[1].motion = motion;
      break;
    case kHmbl:
      ball_.motion = motion;
      break;
    default:
      // Changed while HMOVE is still counting, this value never matches the counter and missile 0
      // gets extra clocks on every line: the star field of Cosmic Ark.
      if (since_motion(clock) == 21 * 3 && missile_[0].motion == 7 && motion == 6) {
        draw();
        star_field_ = true;
        star_counter_ = 0;
        line_matters_ = true;
        watch();
      }
      missile_[0].motion = motion;
      break;
  }
}

void Tia::clear_motion() {
  player_[0].motion = player_[1].motion = 0;
  missile_[0].motion = missile_[1].motion = 0;
  ball_.motion = 0;
  for (int reg = kHmp0; reg <= kHmbl; ++reg) rewrite_[reg] = 0;
}

void Tia::reset_player(int n, std::uint32_t cycle) {
  Player& player = player_[n];
  const int clock = static_cast<int>(3 * cycle_of_line(cycle));
  const std::int16_t position = reset_position(clock, 5, 3);
  const int distance = position - player.position;
  const Meets meets =
      kResetTable.meets[player.nusiz & 7][distance < 0 ? distance + kPixels : distance];
  // A copy that is being shown is shown to its end.
  if (meets == Meets::kGraphics) reach(clock_of(cycle, kLongestDelay));
  const bool without_first = meets != Meets::kStart;
  const MaskPlace place = place_at(player_shape(player.nusiz, without_first), position);
  // The end of a line that is due would bring back the first copy, so it must come before.
  if (place != scene_.player[n] || line_matters_) draw();
  player.position = position;
  scene_.player[n] = place;
  if (without_first) {
    line_matters_ = true;
    rewrite_[kNusiz0 + n] = kAlways;
  }
}

void Tia::reset_missile(int n, std::uint32_t cycle) {
  const int clock = static_cast<int>(3 * cycle_of_line(cycle));
  const int since = since_motion(clock_of(cycle));
  std::int16_t position = reset_position(clock, 4, 2);
  // A strobe while HMOVE still counts: ALE's list of special cases, made for games that need them
  // (Dolphin; Pitfall II) and kept for exactness.
  if (n == 0 && since == 20 * 3 && clock == 69) position = 8;
  if (n == 1 && since == 3 * 3 && clock == 18) position = 3;
  place_missile(n, position);
}

void Tia::reset_ball(std::uint32_t cycle) {
  const int clock = static_cast<int>(3 * cycle_of_line(cycle));
  const int since = since_motion(clock_of(cycle));
  int position = reset_position(clock, 4, 2);
  // The same list for the ball (Escape from the Mindmaster; Decathlon; Robot Tank; Hole Hunter).
  if (since == 18 * 3 && (clock == 60 || clock == 69)) position = 10;
  if (since == 3 * 3 && clock == 18) position = 3;
  if (since == 7 * 3 && clock == 30) position = 6;
  if (since == 6 * 3 && clock == 27) position = 5;
  place_ball(position);
}

void Tia::apply_motion(std::uint32_t cycle) {
  const std::uint32_t at = cycle_of_line(cycle);
  const bool blanks = allow_blanks_ && (at <= kLastBlankCycle || at == kLineCycles - 1);
  if (blanks) {
    draw();  // the line before is not blackened
    blank_ = true;
    blank_seen_ = false;
    motion_reached_ = reached_;
  }
  motion_clock_ = clock_of(cycle);
  const std::int8_t* const moves = kMotionTable.pixels[at];
  // Many programs strobe HMOVE on every line and move nothing on most.
  if (!moving_ && !line_matters_ && moves[0] == 0) return watch();
  for (int n = 0; n < 2; ++n) {
    Player& player = player_[n];
    const std::int16_t position = wrapped(player.position + moves[player.motion]);
    const MaskPlace place = place_at(player.shape, position);
    if (place != scene_.player[n] && shows(kPlayers[n])) draw();
    player.position = position;
    scene_.player[n] = place;
    place_missile(n, wrapped(missile_[n].position + moves[missile_[n].motion]));
  }
  place_ball(wrapped(ball_.position + moves[ball_.motion]));
  moving_ = (player_[0].motion | player_[1].motion | missile_[0].motion | missile_[1].motion |
             ball_.motion) != 0;
  star_field_ = false;
  watch();
}

}  // namespace actormimic::vcs
