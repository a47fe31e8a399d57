// The drawing loops beside a line drawn one pixel at a time, straight from what the TIA's registers
// mean by the Stella Programmer's Guide (Steve Wright, 1979). Both kinds of loops are written in
// one file, so what is wrong there is wrong in both; here nothing of it and no mask of the
// emulator's is used.
#include <cstring>
#include <random>

#include "check.hpp"
#include "emulator/vcs/pixels.hpp"

using namespace actormimic;

namespace {

constexpr int kRow = vcs::kPixels + vcs::kVectorPadding;

// What is on a line. The indices are those of the players and their missiles.
struct Line {
  int nusiz[2], grp[2], colup[2], enam[2];
  int player[2], missile[2], ball;  // positions
  bool without_first[2];            // since a RESP in this line
  int enabl, ctrlpf, colupf, colubk;
  bool playfield[vcs::kPixels];
};

enum class Half { kEither, kLeftScore, kRightScore };

// Pixels from the first copy of an object to the others, by NUSIZ's D2 to D0; 0 ends a list.
constexpr int kCopies[8][2] = {{}, {16}, {32}, {16, 32}, {64}, {}, {32, 64}, {}};

bool player_shows(const Line& line, int n, int x) {
  const int mode = line.nusiz[n] & 7;
  const int width = mode == 5 ? 2 : mode == 7 ? 4 : 1;
  const auto copy_shows = [&](int at, int late) {
    const int pixel = (x - line.player[n] - at - late + 2 * vcs::kPixels) % vcs::kPixels;
    return pixel < 8 * width && (line.grp[n] << (pixel / width) & 0x80) != 0;
  };
  if (!line.without_first[n] && copy_shows(0, width > 1 ? 1 : 0)) return true;
  for (const int at : kCopies[mode])
    if (at != 0 && copy_shows(at, 0)) return true;
  return false;
}

bool missile_shows(const Line& line, int n, int x) {
  if (line.enam[n] == 0) return false;
  const auto copy_shows = [&](int at) {
    return (x - line.missile[n] - at + 2 * vcs::kPixels) % vcs::kPixels <
           1 << (line.nusiz[n] >> 4 & 3);
  };
  if (copy_shows(0)) return true;
  for (const int at : kCopies[line.nusiz[n] & 7])
    if (at != 0 && copy_shows(at)) return true;
  return false;
}

bool ball_shows(const Line& line, int x) {
  return line.enabl != 0 &&
         (x - line.ball + vcs::kPixels) % vcs::kPixels < 1 << (line.ctrlpf >> 4 & 3);
}

struct Pixel {
  int color;
  unsigned collisions;
};

Pixel pixel_of(const Line& line, int x, Half half) {
  const bool p0 = player_shows(line, 0, x), p1 = player_shows(line, 1, x);
  const bool m0 = missile_shows(line, 0, x), m1 = missile_shows(line, 1, x);
  const bool bl = ball_shows(line, x), pf = line.playfield[x];

  // A playfield that shows scores looks like the player of its half, and stands where that does.
  const bool first = p0 || m0 || (pf && half == Half::kLeftScore);
  const bool second = p1 || m1 || (pf && half == Half::kRightScore);
  const bool back = bl || (pf && half == Half::kEither);
  const bool playfield_first = (line.ctrlpf & 4) != 0;
  int color = line.colubk;
  if (back && playfield_first)
    color = line.colupf;
  else if (first)
    color = line.colup[0];
  else if (second)
    color = line.colup[1];
  else if (back)
    color = line.colupf;

  // CXM0P to CXPPMM, D7 before D6; CXBLPF has no D6.
  const bool latches[] = {m0 && p1, m0 && p0, m1 && p0, m1 && p1, p0 && pf,
                          p0 && bl, p1 && pf, p1 && bl, m0 && pf, m0 && bl,
                          m1 && pf, m1 && bl, bl && pf, p0 && p1, m0 && m1};
  unsigned collisions = 0;
  for (unsigned n = 0; n < 15; ++n) collisions |= static_cast<unsigned>(latches[n]) << n;
  return {color, collisions};
}

Line random_line(std::mt19937& random) {
  const auto below = [&random](unsigned n) { return static_cast<int>(random() % n); };
  Line line{};
  for (int n = 0; n < 2; ++n) {
    line.nusiz[n] = below(64);
    line.grp[n] = below(4) == 0 ? 0 : below(256);
    line.colup[n] = below(256);
    line.enam[n] = below(2);
    line.player[n] = below(vcs::kPixels);
    // Near each other half of the time, or they would seldom meet.
    line.missile[n] = below(2) == 0 ? below(vcs::kPixels) : line.player[1 - n];
    line.without_first[n] = below(4) == 0;
  }
  line.ball = below(2) == 0 ? below(vcs::kPixels) : line.missile[0];
  line.enabl = below(2);
  line.ctrlpf = (below(4) << 4) | (below(2) << 2);
  line.colupf = below(256);
  line.colubk = below(256);
  const bool any = below(3) != 0;
  for (int x = 0; x < vcs::kPixels; x += 4) {
    const bool block = any && below(2) == 0;
    for (int i = 0; i < 4; ++i) line.playfield[x + i] = block;
  }
  return line;
}

vcs::Scene scene_of(const Line& line) {
  vcs::Scene scene;
  scene.background = static_cast<std::uint8_t>(line.colubk);
  scene.playfield_color = static_cast<std::uint8_t>(line.colupf);
  scene.control = (line.ctrlpf & 4) != 0 ? vcs::kPriority : 0;
  const auto show = [&scene](bool shows, int object) {
    if (shows) scene.objects |= static_cast<std::uint8_t>(object);
  };
  for (int n = 0; n < 2; ++n) {
    scene.graphics[n] = static_cast<std::uint8_t>(line.grp[n]);
    scene.player_color[n] = static_cast<std::uint8_t>(line.colup[n]);
    scene.player[n] =
        vcs::place_at(vcs::player_shape(line.nusiz[n], line.without_first[n]), line.player[n]);
    if (line.enam[n] != 0)
      scene.missile[n] = vcs::place_at(vcs::missile_shape(line.nusiz[n]), line.missile[n]);
    show(line.grp[n] != 0, n == 0 ? vcs::kPlayer0 : vcs::kPlayer1);
    show(line.enam[n] != 0, n == 0 ? vcs::kMissile0 : vcs::kMissile1);
  }
  if (line.enabl != 0) scene.ball = vcs::place_at(vcs::ball_shape(line.ctrlpf), line.ball);
  show(line.enabl != 0, vcs::kBall);
  for (const bool pixel : line.playfield) show(pixel, vcs::kPlayfield);
  return scene;
}

// Whether the loops draw [from, to) as it is drawn pixel by pixel, and leave what is before it.
bool drawn_right(const vcs::PixelLoops& loops, const Line& line, int from, int to, Half half) {
  const vcs::Scene scene = scene_of(line);
  std::uint8_t playfield[kRow] = {}, row[kRow];
  for (int x = 0; x < vcs::kPixels; ++x) playfield[x] = line.playfield[x] ? 0xff : 0;
  std::memset(row, 0x55, sizeof row);
  const vcs::DrawPixels draw = half == Half::kEither      ? loops.draw[scene.objects]
                               : half == Half::kLeftScore ? loops.draw_scored[0]
                                                          : loops.draw_scored[1];
  const unsigned collisions = draw(scene, playfield, from, to, row);
  unsigned expected = 0;
  for (int x = from; x < to; ++x) {
    const Pixel pixel = pixel_of(line, x, half);
    if (row[x] != pixel.color) return false;
    expected |= pixel.collisions;
  }
  for (int x = 0; x < from; ++x)
    if (row[x] != 0x55) return false;
  return collisions == expected;
}

TEST(lines_are_drawn_as_pixel_by_pixel) {
  std::mt19937 random(11);
  const vcs::PixelLoops* const all[] = {&vcs::plain_loops(), &vcs::best_loops()};
  int wrong[2] = {0, 0};
  unsigned met = 0;
  for (int round = 0; round < 4000; ++round) {
    Line line = random_line(random);
    const Half half = static_cast<Half>(round % 3);
    if (half != Half::kEither) line.ctrlpf &= ~4;  // priority takes the scores' colors away
    const int from = round % 2 == 0 ? 0 : static_cast<int>(random() % vcs::kPixels);
    const int to = round % 2 == 0 ? vcs::kPixels
                                  : from + 1 + static_cast<int>(random() % (vcs::kPixels - from));
    for (int n = 0; n < 2; ++n) wrong[n] += drawn_right(*all[n], line, from, to, half) ? 0 : 1;
    for (int x = from; x < to; ++x) met |= pixel_of(line, x, half).collisions;
  }
  CHECK(wrong[0] == 0);
  CHECK(wrong[1] == 0);
  CHECK(met == 0x7fff);  // every pair met somewhere, so that every latch was tried
}

TEST(a_dark_line_is_filled) {
  for (const vcs::PixelLoops* loops : {&vcs::plain_loops(), &vcs::best_loops()}) {
    for (int from = 0; from < vcs::kPixels; from += 7) {
      for (int to = from + 1; to <= vcs::kPixels; to += 9) {
        std::uint8_t row[kRow];
        std::memset(row, 0x55, sizeof row);
        loops->fill(0x21, from, to, row);
        bool right = true;
        for (int x = 0; x < to; ++x) right = right && row[x] == (x < from ? 0x55 : 0x21);
        CHECK(right);
      }
    }
  }
}

}  // namespace
