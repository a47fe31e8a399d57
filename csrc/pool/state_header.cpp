#include "pool/state_header.hpp"

#include <zlib.h>

#include <cstdint>
#include <cstdio>
#include <utility>
#include <vector>

#include "common/check.hpp"

namespace actormimic {
namespace {

constexpr std::uint32_t kMagic = 0x50534d41;  // "AMSP" in a little-endian file
constexpr std::uint32_t kVersion = 3;

constexpr std::size_t kPrefixBytes = 3 * sizeof(std::uint32_t) + sizeof(std::uint64_t);

std::uint32_t crc(const char* bytes, std::size_t size) {
  return static_cast<std::uint32_t>(::crc32_z(0, reinterpret_cast<const Bytef*>(bytes), size));
}

std::string text_of(float value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", static_cast<double>(value));  // tells all floats apart
  return text;
}
std::string text_of(bool value) { return value ? "true" : "false"; }
std::string text_of(int value) { return std::to_string(value); }
std::string text_of(Autoreset value) {
  return value == Autoreset::kNextStep ? "next-step" : "same-step";
}

using Fact = std::pair<std::string, std::string>;  // name, value

std::vector<Fact> facts_of(const PoolSettings& pool, int batch_size) {
  std::vector<Fact> facts;
  const auto add = [&](const char* name, auto value) { facts.emplace_back(name, text_of(value)); };
  facts.emplace_back("ALE", ale_version());
  add("num_envs", static_cast<int>(pool.games.size()));
  add("batch_size", batch_size);
  // Names all members: with one more or one less this does not compile, so none is forgotten.
  const auto& [frame_skip, img_height, img_width, stack_num, grayscale, maxpool, exact_pooling,
               maxpool_rgb, noop_min, noop_max, noop_in_agent_steps, noop_after_life_loss,
               clear_stack_on_life_loss, use_fire_reset, episodic_life, life_loss_info,
               reward_clipping, max_episode_frames, repeat_action_probability, full_action_space,
               autoreset, emulation] = pool.env;
  static_cast<void>(emulation);  // both arrive at the same states
  add("frameskip", frame_skip);
  add("img_height", img_height);
  add("img_width", img_width);
  add("stack_num", stack_num);
  add("grayscale", grayscale);
  add("maxpool", maxpool);
  add("exact pooling", exact_pooling);
  add("maxpool_rgb", maxpool_rgb);
  add("noop_min", noop_min);
  add("noop_max", noop_max);
  add("no-ops in agent steps", noop_in_agent_steps);
  add("noop_after_life_loss", noop_after_life_loss);
  add("clear_stack_on_life_loss", clear_stack_on_life_loss);
  add("use_fire_reset", use_fire_reset);
  add("episodic_life", episodic_life);
  add("life_loss_info", life_loss_info);
  add("reward_clipping", reward_clipping);
  add("max_num_frames_per_episode", max_episode_frames);
  add("repeat_action_probability", repeat_action_probability);
  add("full_action_space", full_action_space);
  add("autoreset", autoreset);
  for (std::size_t i = 0; i < pool.games.size(); ++i) {
    const GameChoice& game = pool.games[i];
    std::string value = game.name;
    if (game.mode >= 0) value += " mode " + std::to_string(game.mode);
    if (game.difficulty >= 0) value += " difficulty " + std::to_string(game.difficulty);
    facts.emplace_back("env " + std::to_string(i), value);
  }
  return facts;
}

}  // namespace

StateWriter begin_state(const PoolSettings& settings, int batch_size) {
  StateWriter out;
  out.put(kMagic);
  out.put(kVersion);
  out.put<std::uint32_t>(0);  // checksum and size: finish_state()
  out.put<std::uint64_t>(0);
  const std::vector<Fact> facts = facts_of(settings, batch_size);
  out.put<std::uint64_t>(facts.size());
  for (const auto& [name, value] : facts) {
    out.put_string(name);
    out.put_string(value);
  }
  return out;
}

std::string finish_state(StateWriter&& out) {
  std::string state = out.take();
  const std::uint64_t size = state.size() - kPrefixBytes;
  const std::uint32_t checksum = crc(state.data() + kPrefixBytes, size);
  char* field = state.data() + 2 * sizeof(std::uint32_t);
  std::memcpy(field, &checksum, sizeof checksum);
  std::memcpy(field + sizeof checksum, &size, sizeof size);
  return state;
}

StateReader open_state(const char* bytes, std::size_t size, const PoolSettings& settings,
                       int batch_size) {
  StateReader in(bytes, size);
  require(size >= sizeof kMagic && in.get<std::uint32_t>() == kMagic,
          "these bytes are not a saved pool");
  require(size >= kPrefixBytes, "the saved pool is cut short: ", size, " bytes");
  const auto version = in.get<std::uint32_t>();
  require(version == kVersion, "the saved pool is of version ", version,
          "; this build reads version ", kVersion);
  const auto checksum = in.get<std::uint32_t>();
  const auto rest = in.get<std::uint64_t>();
  require(rest == size - kPrefixBytes,
          "the saved pool is cut short or has bytes too many: ", size - kPrefixBytes,
          " where its header says ", rest);
  require(crc(bytes + kPrefixBytes, rest) == checksum,
          "the saved pool is damaged: its checksum does not fit its bytes");
  const std::vector<Fact> here = facts_of(settings, batch_size);
  const auto count = in.get<std::uint64_t>();
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string name = in.get_string(), value = in.get_string();
    require(i < here.size() && name == here[i].first, "the saved pool has the setting '", name,
            "', which this build does not expect");
    require(value == here[i].second, "the saved pool differs in ", name, ": it has ", value,
            ", this one ", here[i].second);
  }
  require(count == here.size(), "the saved pool lacks settings of this build");
  return in;
}

}  // namespace actormimic
