// Many environments, stepped by a few threads, their results written into the caller's batches.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../emulator/atari_env.hpp"
#include "batch.hpp"

namespace actormimic {

struct PoolSettings {
  std::vector<GameChoice> games;    // one for each environment
  int batch_size = 0;               // results per batch; 0: as many as environments
  int num_threads = 0;              // 0: as many as results per batch, at most one per processor
  int thread_affinity_offset = -1;  // worker i runs on processor offset + i; -1: anywhere
  EnvSettings env;
};

// The life of a pool: reset(), then recv() and send() in turn. A batch of batch_size ==
// environments holds row i for environment i; a smaller one holds the first that are ready.
//
// One thread at a time may call, except close() and stop(), which any thread may call, also several
// and while another waits in recv(). After a fork the child's pool refuses every call with
// std::runtime_error, for its threads stayed with the parent.
class Pool {
 public:
  // Throws std::invalid_argument for settings that make no sense, naming the environment, and
  // std::runtime_error where a thread cannot be started.
  explicit Pool(const PoolSettings& settings);
  ~Pool();  // close()
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int num_envs() const;
  int batch_size() const;
  int num_threads() const;
  std::size_t obs_bytes() const;    // of one environment
  int action_count(int env) const;  // of its action set
  const std::vector<int>& minimal_actions(int env) const;
  // The one that runs: ALE's own where ours does not serve the cartridge. Only with no reset under
  // way.
  Emulation emulation(int env) const;

  // Batches that hold one result of every environment.
  int batches_in_flight() const;
  // How many batches may be with the pool at once, batches_in_flight() + 1 at first. Allocates;
  // only with no step under way. Takes all batches away from the pool.
  void set_line_capacity(std::size_t batches);

  // Waits at most `timeout` for the tasks under way; false when it passed. True for a closed pool.
  bool wait_idle(std::chrono::milliseconds timeout);

  // Resets `count` environments with these seeds (negative: none) and starts the delivery of the
  // results of all. Needs wait_idle() before it. A full reset throws results away that were not
  // received, and with them all batches that the pool had. The batches of `given` belong to the
  // pool until recv() returns them. Throws, with nothing changed, std::out_of_range or
  // std::invalid_argument for ids out of range or twice and for batches that Batch::check()
  // refuses, and std::invalid_argument or std::runtime_error where a partial reset cannot be.
  void reset(const int* env_ids, const int* seeds, std::size_t count, const Batch* given,
             std::size_t given_count);

  // Starts a step of each environment of the batch that recv() returned last: row i takes
  // actions[i], an index into its action set, with strengths[i] from 0 to 1 (null: 1). The batches
  // of `given` belong to the pool until recv() returns them. Never blocks or allocates. Throws,
  // before anything moves, std::invalid_argument for a count other than batch_size, an action or
  // strength out of range and batches that Batch::check() refuses, and std::runtime_error without a
  // batch to answer or with more batches than fit.
  void send(const std::int64_t* actions, const float* strengths, std::size_t count,
            const Batch* given, std::size_t given_count);

  // The next complete batch, waiting at most `timeout`; false when it passed. Throws
  // std::runtime_error when nothing is under way that could complete one, when a worker failed
  // (with the environment's id and game) and after close().
  bool recv(std::chrono::milliseconds timeout, Batch& batch);

  // All environments and the results not received yet. Needs wait_idle() before it. Throws
  // std::runtime_error before the first reset and for an environment that cannot be saved, with its
  // id and game; see AtariEnv::save().
  std::string clone_state();
  // Goes back to there. Needs wait_idle() before it. Takes all batches away from the pool; with
  // outstanding() results it needs add_batches(). Throws std::invalid_argument, with nothing
  // changed, for bytes that are damaged or of a pool with other settings; see state_header.hpp.
  // Should environments that were loaded already not go back to what they were, every call but
  // reset() and restore_state() throws std::runtime_error from then on.
  void restore_state(const char* bytes, std::size_t size);

  // Results that recv() has not returned yet.
  int outstanding() const;
  // Batches for them. Throws std::runtime_error where they do not fit and std::invalid_argument
  // where Batch::check() refuses one.
  void add_batches(const Batch* given, std::size_t count);

  // Tells the workers to stop, which they do after at most one step each, and waits at most
  // `timeout` for it; false when it passed. Wakes recv() and wait_idle(). While another thread is
  // in clone_state() or restore_state() it first waits for that to end, however long.
  bool stop(std::chrono::milliseconds timeout);
  // stop() until it is done, and joins the workers. Idempotent.
  void close();

 private:
  struct Impl;
  Impl& open() const;  // throws in a forked child
  std::unique_ptr<Impl> impl_;
};

}  // namespace actormimic
