#include "emulator/atari_env.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <sstream>

#include "common/check.hpp"
#include "emulator/saved_machine.hpp"

namespace actormimic {
namespace {

constexpr int kNoop = 0;
constexpr int kFire = 1;

FrameColor color_of(const EnvSettings& settings) {
  if (!settings.grayscale) return FrameColor::kRgb;
  return settings.maxpool_rgb ? FrameColor::kGrayOfRgbMax : FrameColor::kGray;
}

const EnvSettings& checked(const EnvSettings& settings) {
  settings.check();
  return settings;
}

}  // namespace

void EnvSettings::check() const {
  require_range("frameskip", frame_skip, 1, 1000);
  require_range("img_height", img_height, 1, 4096);
  require_range("img_width", img_width, 1, 4096);
  require_range("stack_num", stack_num, 1, 1000);
  require_range("noop_max", noop_max, 0, 1000000);
  require_range("noop_min", noop_min, 0, noop_max);
  require_range("max_num_frames_per_episode", max_episode_frames, 1, kMostFrames);
  // Written this way round so that NaN fails too.
  require(repeat_action_probability >= 0.0f && repeat_action_probability <= 1.0f,
          "repeat_action_probability is ", repeat_action_probability, "; allowed: 0 to 1");
  require(!maxpool_rgb || (grayscale && maxpool && exact_pooling),
          "maxpool_rgb=True needs grayscale=True, maxpool=True and pooling='exact'");
  require(!noop_after_life_loss || (life_loss_info && !episodic_life),
          "noop_after_life_loss=True needs life_loss_info=True, which reports the life's end, and "
          "episodic_life=False, which would reset the game");
  require(!clear_stack_on_life_loss || !episodic_life,
          "clear_stack_on_life_loss=True needs episodic_life=False, which resets the game and with "
          "it the stack");
}

AtariEnv::AtariEnv(const GameChoice& game, const EnvSettings& settings)
    : settings_(checked(settings)),
      console_(game, settings.repeat_action_probability, settings.emulation),
      processor_(console_.screen_shape(), {settings.img_height, settings.img_width},
                 color_of(settings), console_.palette()),
      scratch_(processor_.make_scratch()),
      minimal_actions_(console_.minimal_actions()),
      noop_random_(std::random_device{}()),
      frame_bytes_(processor_.frame_bytes()) {
  if (settings_.full_action_space) {
    for (int a = 0; a < kActions; ++a) actions_.push_back(a);
  } else {
    actions_ = minimal_actions_;
  }
  has_fire_ = std::find(actions_.begin(), actions_.end(), kFire) != actions_.end();
  history_.assign(frame_bytes_ * settings_.stack_num, 0);
  if (settings_.maxpool && settings_.frame_skip > 1) {
    const FrameShape shape = console_.screen_shape();
    kept_screen_.resize(static_cast<std::size_t>(shape.height) * shape.width);
    if (!settings_.exact_pooling) pooled_.resize(processor_.pooled_bytes());
  }
  if (settings_.autoreset == Autoreset::kSameStep) final_.resize(history_.size());
}

bool AtariEnv::episode_over() const {
  return game_over_ || elapsed_frames_ >= settings_.max_episode_frames ||
         (settings_.episodic_life && life_lost_);
}

bool AtariEnv::life_over() const { return settings_.noop_after_life_loss && life_lost_; }

void AtariEnv::reset() {
  if (pending_seed_ >= 0) {
    console_.power_on(pending_seed_);  // first: should it fail, the seed is still to come
    noop_random_.seed(static_cast<std::uint32_t>(pending_seed_));
    pending_seed_ = -1;
  }
  begin_episode();
  autoreset_ = false;
  half_loaded_ = false;
}

void AtariEnv::begin_episode() {
  console_.reset();
  do_noops(/*may_fire=*/true);
  clear_history(false);
  show_screen();
  elapsed_frames_ = 0;
  game_over_ = false;
  life_lost_ = false;
  lives_ = console_.lives();
  reward_ = 0;
  terminated_ = truncated_ = false;
  result_life_lost_ = result_game_over_ = false;
  has_final_ = false;
  autoreset_ = true;
}

// A new life in the same game: no-ops instead of a reset, and the score goes on.
void AtariEnv::begin_life() {
  const int before = console_.episode_frame_number();
  do_noops(/*may_fire=*/false);
  if (console_.game_over()) {
    begin_episode();
    result_game_over_ = true;  // or nobody would learn that the score begins anew
    return;
  }
  if (settings_.clear_stack_on_life_loss) clear_history(false);
  show_screen();
  elapsed_frames_ += console_.episode_frame_number() - before;
  life_lost_ = false;
  lives_ = console_.lives();
  reward_ = 0;
  terminated_ = false;
  truncated_ = elapsed_frames_ >= settings_.max_episode_frames;
  result_life_lost_ = result_game_over_ = false;
  has_final_ = false;
  autoreset_ = true;
}

int AtariEnv::draw_noops() {
  // ale-py draws 0 to noop_max - 1; a minimum means the range is meant as written, both ends in.
  const int high =
      settings_.noop_min > 0 ? settings_.noop_max : std::max(settings_.noop_max - 1, 0);
  return std::uniform_int_distribution<>(settings_.noop_min, high)(noop_random_);
}

void AtariEnv::do_noops(bool may_fire) {
  const bool fire = may_fire && settings_.use_fire_reset && has_fire_;
  if (fire) console_.act(kFire, 1.0f);
  int frames = draw_noops();
  if (settings_.noop_in_agent_steps) {
    frames *= settings_.frame_skip;
  } else {
    frames -= fire ? 1 : 0;  // ale-py counts FIRE as one of them
  }
  for (; frames > 0; --frames) {
    console_.act(kNoop, 1.0f);
    if (console_.game_over()) {
      if (!may_fire) return;
      console_.reset();
    }
  }
}

void AtariEnv::require_whole() const {
  ensure(!half_loaded_, "a saved state that was refused is half loaded: reset first");
}

void AtariEnv::step(int action, float strength) {
  require_whole();
  if (settings_.autoreset == Autoreset::kNextStep) {
    if (episode_over()) return begin_episode();
    if (life_over()) return begin_life();
    return play(action, strength);
  }
  play(action, strength);
  if (!episode_over() && !life_over()) return;
  // The new episode's first observation goes out with the old one's reward and flags.
  copy_history(final_.data());
  const int reward = reward_;
  const bool terminated = terminated_, truncated = truncated_;
  const bool life_lost = result_life_lost_, game_over = result_game_over_;
  if (episode_over()) {
    begin_episode();
  } else {
    begin_life();
  }
  reward_ = reward;
  terminated_ = terminated;
  truncated_ = truncated;
  result_life_lost_ = life_lost;
  result_game_over_ = game_over || result_game_over_;  // or it ended in a new life's no-ops
  has_final_ = true;
}

void AtariEnv::play(int action, float strength) {
  const int ale_action = actions_[action];
  const bool pools = !kept_screen_.empty();
  const std::uint8_t* before = nullptr;
  int reward = 0;
  int frames = 0;
  bool cut_short = false;
  while (frames < settings_.frame_skip && !cut_short) {
    const bool keep = pools && frames > 0 && !console_.screen_stays();
    if (keep) std::memcpy(kept_screen_.data(), console_.screen(), kept_screen_.size());
    reward += console_.act(ale_action, strength);
    ++frames;
    ++elapsed_frames_;
    before = keep ? kept_screen_.data() : console_.previous_screen();
    game_over_ = console_.game_over();
    const int lives = console_.lives();
    life_lost_ = lives < lives_ && lives > 0;
    cut_short = episode_over();
  }

  if (settings_.exact_pooling || !cut_short) {
    const bool two = pools && frames > 1;
    processor_.pool(console_.screen(), two ? before : nullptr, scratch_,
                    pooled_.empty() ? nullptr : pooled_.data(), next_frame());
  } else if (!pooled_.empty() && frames == settings_.frame_skip) {
    // ale-py stops before it takes the last screen and pools the one before it with the picture of
    // the step before.
    processor_.pool_onto(before, scratch_, pooled_.data(), next_frame());
  } else {
    // Cut short still earlier it has taken no screen at all and shows the old picture again.
    const std::uint8_t* old = &history_[newest_ * frame_bytes_];
    std::memmove(next_frame(), old, frame_bytes_);
  }
  // The newest frame is the first that the agent sees of its next life, and alone in the stack.
  if (life_lost_ && settings_.clear_stack_on_life_loss && !life_over()) clear_history(true);

  lives_ = console_.lives();
  reward_ = settings_.reward_clipping ? std::clamp(reward, -1, 1) : reward;
  terminated_ = game_over_ || ((settings_.life_loss_info || settings_.episodic_life) && life_lost_);
  truncated_ = elapsed_frames_ >= settings_.max_episode_frames && !terminated_;
  result_life_lost_ = life_lost_;
  result_game_over_ = game_over_;
  autoreset_ = false;
  has_final_ = false;
}

void AtariEnv::show_screen() {
  processor_.pool(console_.screen(), nullptr, scratch_, pooled_.empty() ? nullptr : pooled_.data(),
                  next_frame());
}

std::uint8_t* AtariEnv::next_frame() {
  newest_ = newest_ + 1 == settings_.stack_num ? 0 : newest_ + 1;
  return &history_[newest_ * frame_bytes_];
}

void AtariEnv::clear_history(bool keep_newest) {
  for (int f = 0; f < settings_.stack_num; ++f) {
    if (keep_newest && f == newest_) continue;
    std::memset(&history_[f * frame_bytes_], 0, frame_bytes_);
  }
}

void AtariEnv::copy_history(std::uint8_t* out) const {
  const std::size_t older = (newest_ + 1) * frame_bytes_;  // where the oldest frame begins
  std::memcpy(out, history_.data() + older, history_.size() - older);
  std::memcpy(out + history_.size() - older, history_.data(), older);
}

void AtariEnv::write(int env_id, const Slot& slot) const {
  copy_history(slot.obs);
  *slot.reward = reward_;
  *slot.terminated = terminated_;
  *slot.truncated = truncated_;
  *slot.env_id = env_id;
  *slot.lives = lives_;
  *slot.frame_number = console_.frame_number();
  *slot.episode_frame_number = console_.episode_frame_number();
  if (slot.final_obs != nullptr && has_final_)
    std::memcpy(slot.final_obs, final_.data(), final_.size());
  if (slot.ram != nullptr) console_.copy_ram(slot.ram);
  if (slot.life_lost != nullptr) *slot.life_lost = result_life_lost_;
  if (slot.game_over != nullptr) *slot.game_over = result_game_over_;
  if (slot.autoreset != nullptr) *slot.autoreset = autoreset_;
}

void AtariEnv::save(StateWriter& out) const {
  require_whole();
  console_.save(out);
  std::ostringstream random;
  random << noop_random_;
  out.put_string(random.str());
  out.put(pending_seed_);
  out.put(elapsed_frames_);
  out.put(lives_);
  out.put(reward_);
  for (const bool flag : {game_over_, life_lost_, terminated_, truncated_, result_life_lost_,
                          result_game_over_, autoreset_, has_final_})
    out.put_flag(flag);
  out.put(newest_);
  for (const auto* bytes : {&history_, &pooled_, &final_}) {
    out.put<std::uint64_t>(bytes->size());
    out.put_bytes(bytes->data(), bytes->size());
  }
}

void AtariEnv::load(StateReader& in) {
  half_loaded_ = true;
  console_.load(in);
  const std::string generator = in.get_string();
  require_generator(generator);
  std::istringstream(generator) >> noop_random_;
  const int pending_seed = in.get<int>();
  require_range("pending seed of the saved state", pending_seed, -1,
                std::numeric_limits<int>::max());
  elapsed_frames_ = in.get<int>();
  require_range("frames of the saved state", elapsed_frames_, 0, kMostFrames);
  lives_ = in.get<int>();  // of any sign: some games' rules subtract
  reward_ = in.get<int>();
  for (bool* flag : {&game_over_, &life_lost_, &terminated_, &truncated_, &result_life_lost_,
                     &result_game_over_, &autoreset_, &has_final_})
    *flag = in.get_flag();
  const int newest = in.get<int>();
  require_range("newest frame of the saved state", newest, 0, settings_.stack_num - 1);
  for (auto* bytes : {&history_, &pooled_, &final_}) {
    require(in.get<std::uint64_t>() == bytes->size(), "the saved state has frames of another size");
    in.get_bytes(bytes->data(), bytes->size());
  }
  // These two a reset goes by, also where the rest is half loaded.
  pending_seed_ = pending_seed;
  newest_ = newest;
  half_loaded_ = false;
}

}  // namespace actormimic
