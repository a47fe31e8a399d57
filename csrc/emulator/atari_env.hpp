// One environment: a console with the preprocessing of ale-py's AtariVectorEnv around it.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "../frame/frame_processor.hpp"
#include "console.hpp"
#include "state_stream.hpp"

namespace actormimic {

enum class Autoreset { kNextStep, kSameStep };

// How every environment of a pool treats its game. The defaults are ale-py's.
struct EnvSettings {
  int frame_skip = 4;  // emulator frames per agent step
  int img_height = 84;
  int img_width = 84;
  int stack_num = 4;
  bool grayscale = true;
  bool maxpool = true;
  bool exact_pooling = false;  // pool what this step emulated, also where a skip ends early
  bool maxpool_rgb = false;    // maximum per color channel before luminance
  int noop_min = 0;
  int noop_max = 30;
  bool noop_in_agent_steps = false;
  bool noop_after_life_loss = false;
  bool clear_stack_on_life_loss = false;
  bool use_fire_reset = true;
  bool episodic_life = false;
  bool life_loss_info = false;
  bool reward_clipping = true;
  int max_episode_frames = 108000;  // emulator frames
  float repeat_action_probability = 0.0f;
  bool full_action_space = false;
  Autoreset autoreset = Autoreset::kNextStep;
  Emulation emulation = Emulation::kFast;

  // Throws std::invalid_argument with the name, the value and what is allowed.
  void check() const;
};

// Where the result of one environment goes: one row of a batch. From final_obs on null where nobody
// asked; those before are always written.
struct Slot {
  std::uint8_t* obs = nullptr;  // [stack, height, width(, 3)]
  std::int32_t* reward = nullptr;
  bool* terminated = nullptr;
  bool* truncated = nullptr;
  std::int32_t* env_id = nullptr;
  std::int32_t* lives = nullptr;
  std::int32_t* frame_number = nullptr;
  std::int32_t* episode_frame_number = nullptr;
  std::uint8_t* final_obs = nullptr;  // as obs, written only where an episode ended
  std::uint8_t* ram = nullptr;        // [128]
  bool* life_lost = nullptr;
  bool* game_over = nullptr;
  bool* autoreset = nullptr;
};

// Not thread-safe: one thread at a time steps an environment.
class AtariEnv {
 public:
  // Throws as Console and EnvSettings::check do.
  AtariEnv(const GameChoice& game, const EnvSettings& settings);

  // The next reset() switches the console off and on with `seed`; with a negative one it does not.
  void set_seed(int seed) { pending_seed_ = seed; }
  void reset();
  // One agent step, autoreset included. `action` indexes the action set, `strength` is a paddle's.
  // Throws std::runtime_error after a load() that failed.
  void step(int action, float strength);
  // Writes the newest result. `env_id` is the caller's number for this environment.
  void write(int env_id, const Slot& slot) const;

  int action_count() const { return static_cast<int>(actions_.size()); }
  const std::vector<int>& minimal_actions() const { return minimal_actions_; }
  Emulation emulation() const { return console_.emulation(); }
  std::size_t obs_bytes() const { return history_.size(); }

  // Throws as Console's does, and after a load() that failed.
  void save(StateWriter& out) const;
  // Throws std::invalid_argument for bytes that make no sense here; the environment is then neither
  // the old nor the saved one until a reset() or a load() succeeds.
  void load(StateReader& in);

 private:
  void require_whole() const;
  void play(int action, float strength);
  void begin_episode();
  void begin_life();
  void do_noops(bool may_fire);
  int draw_noops();
  void show_screen();
  std::uint8_t* next_frame();
  void clear_history(bool keep_newest);
  void copy_history(std::uint8_t* out) const;
  bool episode_over() const;
  bool life_over() const;

  EnvSettings settings_;
  Console console_;
  FrameProcessor processor_;
  FrameScratch scratch_;
  std::vector<int> minimal_actions_;
  std::vector<int> actions_;
  bool has_fire_ = false;

  std::mt19937 noop_random_;
  int pending_seed_ = -1;
  bool half_loaded_ = false;

  int elapsed_frames_ = 0;
  bool game_over_ = false;
  bool life_lost_ = false;
  int lives_ = 0;
  int reward_ = 0;
  // The flags of the newest result; after a same-step reset they speak of the episode that ended.
  bool terminated_ = false;
  bool truncated_ = false;
  bool result_life_lost_ = false;
  bool result_game_over_ = false;
  bool autoreset_ = false;
  bool has_final_ = false;

  std::size_t frame_bytes_;
  std::vector<std::uint8_t> history_;  // stack_num frames, a ring
  int newest_ = 0;
  std::vector<std::uint8_t> kept_screen_;  // a frame that the next one will draw over
  std::vector<std::uint8_t> pooled_;       // stock pooling: the picture of the step before
  std::vector<std::uint8_t> final_;        // same-step autoreset: the stack at the end
};

}  // namespace actormimic
