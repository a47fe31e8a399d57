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

Saved save(const AtariEnv& env) {
  StateWriter out;
  try {
    env.save(out);
    return {out.take(), ""};
  } catch (const std::exception& problem) {
    return {"", problem.what()};
  }
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

// What holds between any two calls: whole batches leave and come back, and the environments of the
// last batch have a result under way exactly when it was answered. One that waited for its action
// with a result under way would, once sent, be with two workers at once.
void check_under_way(bool answerable, const std::vector<int>& received,
                     const std::vector<int>& undelivered, int num_envs) {
  const int batch_size = static_cast<int>(received.size());
  const int outstanding = static_cast<int>(undelivered.size());
  require((num_envs - outstanding) % batch_size == 0, "results in the saved pool is ", outstanding,
          "; allowed: what whole batches of ", batch_size, " leave of ", num_envs);
  std::vector<bool> under_way(static_cast<std::size_t>(num_envs), false);
  for (const int env : undelivered) under_way[env] = true;
  for (const int env : received)
    require(under_way[env] != answerable, "environment ", env, " of the saved pool ",
            answerable ? "waits for its action and has a result under way"
                       : "has its action and no result under way");
}

}  // namespace

// The environments up to `last` as they were. Where that fails, they are neither what they were nor
// what was to be restored, and the pool refuses to go on with them.
void Pool::Impl::bring_back(const std::vector<Saved>& before, int last) {
  for (int env = 0; env <= last; ++env) {
    try {
      ensure(before[env].problem.empty(), before[env].problem);
      load(*envs[env], before[env].state);
    } catch (const std::exception& problem) {
      error = detail::join(
          name_of(env), " cannot be brought back after restore_state() failed: ", problem.what());
    }
  }
}

std::string Pool::clone_state() {
  Impl& p = open();
  std::lock_guard<std::mutex> lock(p.mutex);
  p.require_working();
  ensure(p.was_reset, "clone_state() called before reset()");
  p.require_idle("clone_state()");
  StateWriter out = begin_state(p.settings, p.batch_size);
  for (int env = 0; env < p.num_envs; ++env) {
    const Saved now = save(*p.envs[env]);
    ensure(now.problem.empty(), p.name_of(env), " cannot be saved: ", now.problem);
    out.put_string(now.state);
  }
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
  check_under_way(answerable, received, undelivered, p.num_envs);
  require(in.at_end(), "the saved pool has bytes too many");

  // All or nothing: an environment whose bytes make no sense brings back those before it.
  std::vector<Saved> before;
  for (const auto& env : p.envs) before.push_back(save(*env));
  for (int i = 0; i < p.num_envs; ++i) {
    try {
      load(*p.envs[i], states[i]);
    } catch (const std::exception& problem) {
      p.bring_back(before, i);
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
