// Saving and restoring a whole pool: the header, then what each environment and the pool itself
// need to go on.
#include <stdexcept>
#include <string>
#include <vector>

#include "common/check.hpp"
#include "pool/pool_impl.hpp"
#include "pool/state_header.hpp"

namespace actormimic {
namespace {

std::string saved(const AtariEnv& env) {
  StateWriter out;
  env.save(out);
  return out.take();
}

void load(AtariEnv& env, const std::string& state) {
  StateReader in(state.data(), state.size());
  env.load(in);
  require(in.at_end(), "bytes too many");
}

// `count` different environments of `num_envs`.
std::vector<int> read_envs(StateReader& in, int count, int num_envs) {
  std::vector<int> envs(static_cast<std::size_t>(count));
  std::vector<bool> seen(static_cast<std::size_t>(num_envs), false);
  for (int& env : envs) {
    env = in.get<int>();
    require_range("environment in the saved pool", env, 0, num_envs - 1);
    require(!seen[env], "environment ", env, " is twice in the saved pool");
    seen[env] = true;
  }
  return envs;
}

}  // namespace

std::string Pool::clone_state() {
  Impl& p = open();
  std::lock_guard<std::mutex> lock(p.mutex);
  p.require_working();
  ensure(p.was_reset, "clone_state() called before reset()");
  p.require_idle("clone_state()");
  StateWriter out = begin_state(p.settings, p.batch_size);
  for (const auto& env : p.envs) out.put_string(saved(*env));
  out.put_flag(p.answerable);
  for (const int env : p.received) out.put(env);
  // Results that wait for recv(), in their order: first those that have a row already.
  out.put(p.outstanding);
  for (std::size_t row = 0; row < p.line.given(); ++row) out.put(p.line.env_of(row));
  for (const int env : p.waiting) out.put(env);
  return finish_state(std::move(out));
}

void Pool::restore_state(const char* bytes, std::size_t size) {
  Impl& p = open();
  std::lock_guard<std::mutex> lock(p.mutex);
  ensure(!p.closed, "the pool is closed");
  p.require_idle("restore_state()");
  StateReader in = open_state(bytes, size, p.settings, p.batch_size);
  std::vector<std::string> states(p.envs.size());
  for (std::string& state : states) state = in.get_string();
  const bool answerable = in.get_flag();
  std::vector<int> received = read_envs(in, p.batch_size, p.num_envs);
  const int outstanding = in.get<int>();
  require_range("results in the saved pool", outstanding, 0, p.num_envs);
  const std::vector<int> undelivered = read_envs(in, outstanding, p.num_envs);
  require(in.at_end(), "the saved pool has bytes too many");

  // All or nothing: an environment whose bytes make no sense brings back those before it.
  std::vector<std::string> before;
  for (const auto& env : p.envs) before.push_back(saved(*env));
  for (int i = 0; i < p.num_envs; ++i) {
    try {
      load(*p.envs[i], states[i]);
    } catch (const std::exception& problem) {
      for (int k = 0; k <= i; ++k) load(*p.envs[k], before[k]);
      throw std::invalid_argument(
          detail::join(p.name_of(i), " of the saved pool: ", problem.what()));
    }
  }
  p.line.clear();
  p.error.clear();
  p.received = std::move(received);
  p.answerable = answerable;
  p.waiting.assign(undelivered.begin(), undelivered.end());
  p.outstanding = outstanding;
  p.was_reset = true;
}

}  // namespace actormimic
