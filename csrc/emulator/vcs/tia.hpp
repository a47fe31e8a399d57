// The Television Interface Adaptor: draws the picture as the beam passes, from the registers that
// the program writes in time with it.
//
// It borrows the state of ALE's TIA for one frame at a time and gives it back at the frame's end,
// so that ALE's saved states, its screens and its own TIA go on from there exactly. Between the
// two, ALE's object must not be touched.
//
// The beam is drawn late: only when a write is about to change what it shows, or a read asks what
// it met. Rewriting a register with what it holds costs next to nothing.
#pragma once

#include <algorithm>
#include <cstdint>

#include "emulator/vcs/pixels.hpp"
#include "emulator/vcs/tia_tables.hpp"

namespace ale::stella {
class Sound;
class TIA;
class TIADebug;
}  // namespace ale::stella

namespace actormimic::vcs {

class Tia {
 public:
  explicit Tia(const PixelLoops& loops = best_loops());

  // Takes over the state as it stands; gives it back as ALE's TIA would have it by then.
  void borrow(ale::stella::TIA& tia);
  void give_back();

  // `cycle` is the system's cycle counter when the access happens. `data_bus` is the last byte on
  // the bus: six bits of a read float there.
  std::uint8_t peek(std::uint16_t address, std::uint32_t cycle, std::uint8_t data_bus);

  // WSYNC moves `cycle` on to the next line. (Not if the access before was a write, since the 6507
  // halts only in a read; that is for the processor to know.)
  void poke(std::uint16_t address, std::uint8_t value, std::uint32_t& cycle) {
    const int reg = address & 0x3f;
    reach(clock_of(cycle, delay(reg, cycle)));
    if (static_cast<std::int32_t>(cycle) >= attention_) attend(cycle);
    // Much of what programs write is there already, and much of the rest waits for a line's end.
    if (rewrite_[reg] == value) return;
    if (reg == kWsync) return wait_for_line(cycle);
    write(reg, value, cycle);
  }

  // The frame is over: VSYNC has ended, or the program drew more lines than a television shows.
  // The instruction that caused it is still completed.
  bool stopped() const { return stopped_; }

 private:
  friend class ale::stella::TIADebug;  // moves the state from and to ALE's TIA

  // Of a paddle: charged at once and always; never.
  static constexpr std::uint32_t kShorted = 0xffffffff, kOpen = 0xfffffffe;
  static constexpr int kMotionBlank = 8;  // pixels at the left of a line that HMOVE blackens
  // A register byte that never counts as a rewrite.
  static constexpr std::uint16_t kAlways = 0x100;
  static constexpr int kNever = 0x7fffffff;  // a clock

  struct Player {
    std::uint8_t graphics, delayed;  // of GRP, new and old
    std::uint8_t nusiz;
    std::uint8_t motion;
    bool reflected, vertical_delay;
    std::int16_t position;
    MaskPlace shape;  // by NUSIZ, with all copies
  };
  struct Missile {
    bool enabled, locked;  // ENAM; RESMP, which hides it in its player
    std::uint8_t motion;
    std::int16_t position;
    MaskPlace shape, place;
  };
  struct Ball {
    bool enabled, delayed, vertical_delay;
    std::uint8_t motion;
    std::int16_t position;
    MaskPlace shape, place;
  };

  // ALE's TIA draws up to every access, and what it drew shows the old state: so far the beam is
  // spoken for, though it may not be drawn yet.
  void reach(int clock) { reached_ = std::max(reached_, clock); }
  // Draws what is spoken for. Called before anything visible changes.
  void draw() {
    if (reached_ > nothing_until_) draw_due();
  }

  static int clock_of(std::uint32_t cycle, int delay = 0) {
    return static_cast<int>(cycle * 3 + static_cast<std::uint32_t>(delay));
  }
  // Clocks since the last HMOVE. Each frame without one moves that further back, after ten minutes
  // past what an integer holds.
  int since_motion(int clock) const {
    return static_cast<int>(static_cast<std::uint32_t>(clock) -
                            static_cast<std::uint32_t>(motion_clock_));
  }
  int delay(int reg, std::uint32_t cycle) const {
    return kWriteDelay[(cycle - start_cycle_) & 3][reg];
  }
  void wait_for_line(std::uint32_t& cycle) const {
    const std::uint32_t at = cycle_of_line(cycle);
    if (at != 0) cycle += kLineCycles - at;
  }
  std::uint32_t cycle_of_line(std::uint32_t cycle) const {
    return (cycle - start_cycle_) % kLineCycles;
  }

  // tia.cpp
  void write(int reg, std::uint8_t value, std::uint32_t cycle);
  void attend(std::uint32_t cycle);
  void follow_beam();
  bool paddle_charged(int n, std::uint32_t cycle) const;

  // tia_registers.cpp
  void vertical_sync(std::uint8_t value, int clock);
  void vertical_blank(std::uint8_t value, std::uint32_t cycle);
  void player_color(int n, std::uint8_t value);
  void playfield_color(std::uint8_t value);
  void background_color(std::uint8_t value);
  void clear_collisions();
  void control_playfield(std::uint8_t value, std::uint32_t cycle);
  void playfield(int reg, std::uint8_t value);

  // tia_objects.cpp
  void number_and_size(int n, std::uint8_t value);
  void reflect(int n, std::uint8_t value);
  void player_graphics(int n, std::uint8_t value);
  void enable_missile(int n, std::uint8_t value);
  void enable_ball(std::uint8_t value);
  void lock_missile(int n, std::uint8_t value);
  void vertical_delay(int reg, std::uint8_t value);
  void motion(int reg, std::uint8_t value, int clock);
  void reset_player(int n, std::uint32_t cycle);
  void reset_missile(int n, std::uint32_t cycle);
  void reset_ball(std::uint32_t cycle);
  void apply_motion(std::uint32_t cycle);
  void clear_motion();
  // Each draws what is due before it changes what shows.
  void show_player(int n);
  void show_missile(int n);
  void show_ball();
  void place_missile(int n, int position);
  void place_ball(int position);
  bool shows(int object) const { return (scene_.objects & object) != 0; }
  void show(int object, bool on) {
    scene_.objects =
        static_cast<std::uint8_t>(on ? scene_.objects | object : scene_.objects & ~object);
  }

  // tia_beam.cpp
  void draw_due();
  void draw_score(int from, int to, std::uint8_t* row);
  void draw_pixels(int from, int to, std::uint8_t* row);
  void expand_playfield();
  void blank_after_motion(int from, int to, std::uint8_t* row);
  void end_of_line();
  // Decides from when on accesses must be looked at.
  void watch() {
    const bool all = (awaits_beam() || star_field_) && drawn_ < display_stop_;
    attention_ = all ? std::min(display_cycle_, last_cycle_) : last_cycle_;
  }
  // HMOVE's blank, with the beam `pixels` (not positive) from the line's first. ALE's TIA blackens
  // eight pixels' distance from the end of the horizontal blank, from wherever in it the beam is,
  // and so reaches as much too far. That shows only if the frame ends on this line.
  void note_blank(int pixels) {
    const int reach = kMotionBlank + std::min(-pixels, kBlankClocks);
    blanked_ = blanked_row_ == row_ ? std::max(blanked_, reach) : reach;
    blanked_row_ = row_;
    blank_seen_ = true;
    watch();
  }
  bool awaits_beam() const { return blank_ && !blank_seen_; }
  bool row_lies_in_picture() const;
  int pixels_drawn() const { return std::clamp(drawn_ - (line_end_ - kPixels), 0, kPixels); }
  void leave_line();
  void leave_overshoot(int end);

  // Clocks count three to a cycle of the system's counter.
  int frame_start_ = 0;                // when the frame began
  std::uint32_t start_cycle_ = 0;      // the same in cycles
  int display_start_ = 0;              // the first clock of the first drawn line
  int display_stop_ = 0;               // after the last
  int drawn_ = 0;                      // the beam is drawn up to here
  int reached_ = 0;                    // and due up to here
  int line_end_ = 0;                   // of the line in which drawn_ lies
  int nothing_until_ = 0;              // no pixel is due before this clock
  std::int32_t attention_ = 0;         // from this cycle on no access is passed over
  std::int32_t display_cycle_ = 0;     // no access before this cycle reaches into the display
  std::int32_t last_cycle_ = 0;        // from this cycle on a write ends the frame
  std::uint16_t rewrite_[kRegisters];  // the byte whose writing changes nothing, or kAlways

  Scene scene_;
  Scene crossing_;  // as of when the beam last crossed a multiple of four pixels
  Player player_[2];
  Missile missile_[2];
  Ball ball_;
  std::uint16_t collisions_ = 0;
  std::uint8_t vsync_ = 0, vblank_ = 0, ctrlpf_ = 0;
  std::uint8_t color_loss_ = 0;  // the bit that every color carries in this frame
  bool allow_blanks_ = false;    // HMOVE blackens the left of a line
  bool blank_ = false;           // it does on this line
  bool blank_seen_ = false;      // and the beam has moved since
  bool star_field_ = false;      // missile 0 drifts by itself
  bool moving_ = true;           // HMOVE has something to move, or to put in its place
  bool line_matters_ = true;     // the end of this line changes the scene
  bool playfield_stale_ = true;
  bool stopped_ = false;
  std::uint32_t star_counter_ = 0;
  int vsync_finish_ = 0;       // VSYNC off from this clock on ends the frame
  int motion_clock_ = 0;       // of the last HMOVE
  int motion_reached_ = 0;     // reached_ at that time
  bool dumped_ = false;        // the paddles' capacitors are grounded
  std::int32_t dump_end_ = 0;  // cycle
  // Inputs, which do not change within a frame: cycles to charge a paddle's capacitor, and
  // triggers.
  std::uint32_t charge_[4] = {};
  bool trigger_up_[2] = {};

  const PixelLoops* loops_;
  std::uint8_t* row_ = nullptr;  // of the line in which drawn_ lies, in ALE's picture
  std::uint8_t* picture_ = nullptr;
  std::uint8_t* blanked_row_ = nullptr;  // the row that HMOVE blackened, ahead of the beam
  int blanked_ = 0;                      // so many of its pixels
  ale::stella::TIA* tia_ = nullptr;
  ale::stella::Sound* sound_ = nullptr;

  // The line in progress. Vector loops write past its end, which in ALE's picture would spoil what
  // an earlier frame left there.
  alignas(32) std::uint8_t line_[kPixels + kVectorPadding];
  alignas(32) std::uint8_t playfield_row_[kPixels + kVectorPadding];
};

}  // namespace actormimic::vcs
