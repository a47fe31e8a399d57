// The beam: lines, the pixels between two changes, and what a picture holds where the beam has not
// come yet.
#include <cstring>

#include "emulator/vcs/tia.hpp"

namespace actormimic::vcs {
namespace {

// Score mode gives each half of the playfield a player's color. Priority switches that off, unless
// nothing but the playfield shows.
bool scores(const Scene& scene) {
  return (scene.control & kScore) != 0 && (scene.objects & kPlayfield) != 0 &&
         ((scene.control & kPriority) == 0 || scene.objects == kPlayfield);
}

std::uint32_t reversed_playfield(std::uint32_t bits) {
  const auto& reversed = kReversedBits.of;
  return (static_cast<std::uint32_t>(reversed[bits & 0xff]) << 16 |
          static_cast<std::uint32_t>(reversed[bits >> 8 & 0xff]) << 8 | reversed[bits >> 16]) >>
         4;
}

std::uint32_t right_half(const Scene& scene) {
  return scene.reflected ? reversed_playfield(scene.playfield) : scene.playfield;
}

// Sixteen pixels for four bits of the playfield, the lowest bit at the left.
struct PlayfieldPixels {
  std::uint8_t of[16][16];
};
constexpr PlayfieldPixels playfield_pixels() {
  PlayfieldPixels pixels{};
  for (int bits = 0; bits < 16; ++bits)
    for (int x = 0; x < 16; ++x) pixels.of[bits][x] = (bits >> (x / 4) & 1) != 0 ? 0xff : 0;
  return pixels;
}
constexpr PlayfieldPixels kPlayfieldPixels = playfield_pixels();

// The sets of objects for which ALE's TIA has a loop of its own; the other ones it draws pixel by
// pixel.
bool draws_in_fours(const Scene& scene) {
  if (scene.dark) return false;
  switch (scene.objects) {
    case kPlayer0:
    case kPlayer1:
    case kPlayer0 | kPlayer1:
    case kMissile0:
    case kMissile1:
    case kMissile0 | kMissile1:
    case kBall:
    case kBall | kMissile0:
    case kBall | kMissile1:
    case kBall | kPlayer1:
    case kPlayfield:
      return true;
    case kPlayfield | kPlayer0:
    case kPlayfield | kPlayer1:
    case kPlayfield | kBall:
      return (scene.control & kScore) == 0;
    default:
      return false;
  }
}

}  // namespace

void Tia::draw_due() {
  const int until = std::min(reached_, display_stop_);
  // HMOVE blackens nothing before the beam has moved on.
  const bool blanks = blank_ && (blank_seen_ || reached_ > motion_reached_);
  while (drawn_ < until) {
    // A line is over, and the next one's scene in force, only when something happens after its end.
    const bool ends = until > line_end_;
    const int first_pixel = line_end_ - kPixels;
    const int from = std::max(drawn_ - first_pixel, 0);
    drawn_ = ends ? line_end_ : until;
    const int to = drawn_ - first_pixel;
    // A whole line is a whole number of vectors, but half a line, as in score mode, is not.
    const bool whole = ends && from == 0 && !scores(scene_);
    std::uint8_t* const row = whole && row_lies_in_picture() ? row_ : line_;
    if (to > from) draw_pixels(from, to, row);
    if (blanks && blank_) blank_after_motion(from, to, row);
    if (!ends) {
      if (from <= (to & ~3)) crossing_ = scene_;
      break;
    }
    if (row == line_ && row_lies_in_picture()) std::memcpy(row_, line_, kPixels);
    row_ += kPixels;
    line_end_ += kLineClocks;
    if (line_matters_) end_of_line();
  }
  if (drawn_ >= display_stop_) {
    nothing_until_ = kNever;
    attention_ = last_cycle_;
  } else {
    nothing_until_ = std::max({drawn_, line_end_ - kPixels, display_start_ - 1});
  }
}

void Tia::draw_pixels(int from, int to, std::uint8_t* row) {
  if (scene_.dark) return loops_->fill(0, from, to, row);
  if (playfield_stale_ && (scene_.objects & kPlayfield) != 0) expand_playfield();
  if (scores(scene_)) return draw_score(from, to, row);
  const DrawPixels draw = loops_->draw[scene_.objects & 63];
  collisions_ |= static_cast<std::uint16_t>(draw(scene_, playfield_row_, from, to, row));
}

void Tia::draw_score(int from, int to, std::uint8_t* row) {
  constexpr int kMiddle = kPixels / 2;
  const int starts[2] = {from, std::max(from, kMiddle)}, ends[2] = {std::min(to, kMiddle), to};
  for (int half = 0; half < 2; ++half) {
    if (starts[half] >= ends[half]) continue;
    if (scene_.objects == kPlayfield) {
      Scene scene = scene_;
      scene.playfield_color = scene.player_color[half];
      loops_->draw[kPlayfield](scene, playfield_row_, starts[half], ends[half], row);
    } else {
      const DrawPixels draw = loops_->draw_scored[half];
      collisions_ |=
          static_cast<std::uint16_t>(draw(scene_, playfield_row_, starts[half], ends[half], row));
    }
  }
}

void Tia::expand_playfield() {
  std::uint8_t* out = playfield_row_;
  for (std::uint32_t half : {scene_.playfield, right_half(scene_)}) {
    for (int nibble = 0; nibble < 5; ++nibble, half >>= 4, out += 16)
      std::memcpy(out, kPlayfieldPixels.of[half & 15], 16);
  }
  playfield_stale_ = false;
}

void Tia::blank_after_motion(int from, int to, std::uint8_t* row) {
  if (from >= kMotionBlank) return;
  note_blank(std::min(to, 0));
  if (from == 0) {
    std::memset(row, 0, kMotionBlank);  // of a length that the compiler knows
  } else {
    std::memset(row + from, 0, static_cast<std::size_t>(kMotionBlank - from));
  }
  if (to >= kMotionBlank) blank_ = false;
}

void Tia::end_of_line() {
  const bool reflect = (ctrlpf_ & 1) != 0;
  if (scene_.reflected != reflect) {
    scene_.reflected = reflect;
    playfield_stale_ = true;
  }
  for (int n = 0; n < 2; ++n) scene_.player[n] = place_at(player_[n].shape, player_[n].position);
  if (star_field_) {
    // Seventeen extra clocks move the missile left each line, and its width follows their phase.
    constexpr int kLeft[4] = {18, 33, 0, 17};
    star_counter_ = (star_counter_ + 1) & 3;
    Missile& missile = missile_[0];
    int position = missile.position - kLeft[star_counter_];
    if (position < 0) position += kPixels;
    missile.position = static_cast<std::int16_t>(position);
    const int nusiz = player_[0].nusiz, size = nusiz >> 4 & 3;
    missile.place =
        star_counter_ == 2
            ? kNowhere
            : place_at(missile_shape(nusiz, star_counter_ == 1 ? size | 1 : size), position);
    if (shows(kMissile0)) scene_.missile[0] = missile.place;
    rewrite_[kNusiz0] = kAlways;  // it would end what this line does to the missile
  }
  line_matters_ = star_field_;
}

bool Tia::row_lies_in_picture() const {
  return row_ >= picture_ && row_ + kPixels <= picture_ + kPictureBytes;
}

// What is drawn of the line in progress goes into the picture, and with it what ALE's TIA leaves
// right of the beam. That stays in sight where a frame ends before its last line.
void Tia::leave_line() {
  if (!row_lies_in_picture()) return;
  const int end = pixels_drawn();
  std::memcpy(row_, line_, static_cast<std::size_t>(end));
  const bool blanked = blanked_row_ == row_;
  if (blanked && end < blanked_)
    std::memset(row_ + end, 0, static_cast<std::size_t>(blanked_ - end));
  if (end % 4 != 0 && !(blanked && end < kMotionBlank)) leave_overshoot(end);
}

// Where ALE's TIA has drawn four pixels at a time, it has drawn to the end of the four in which the
// beam stands. It does so where nothing but the playfield is anywhere near.
void Tia::leave_overshoot(int end) {
  const Scene& scene = crossing_;
  const int block = end & ~3;
  const std::uint8_t* const masks = kObjectMasks.bytes + block;
  const auto near = [&](int object, MaskPlace place) {
    constexpr std::uint8_t kNothing[4] = {0, 0, 0, 0};
    return (scene.objects & object) != 0 && std::memcmp(masks + place, kNothing, 4) != 0;
  };
  if (!draws_in_fours(scene) || near(kPlayer0, scene.player[0]) ||
      near(kPlayer1, scene.player[1]) || near(kMissile0, scene.missile[0]) ||
      near(kMissile1, scene.missile[1]) || near(kBall, scene.ball))
    return;
  constexpr int kMiddle = kPixels / 2;
  const bool right = block >= kMiddle;
  const std::uint32_t bits =
      right ? right_half(scene) >> ((block - kMiddle) / 4) : scene.playfield >> (block / 4);
  std::uint8_t color = scene.background;
  if ((bits & 1) != 0)
    color = scores(scene) ? scene.player_color[right ? 1 : 0] : scene.playfield_color;
  std::memset(row_ + end, color, static_cast<std::size_t>(block + 4 - end));
}

}  // namespace actormimic::vcs
