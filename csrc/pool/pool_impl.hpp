// What pool.cpp and pool_state.cpp share: the pool's parts. Included by nobody else.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "emulator/atari_env.hpp"
#include "pool/batch.hpp"
#include "pool/pool.hpp"
#include "pool/task_queue.hpp"

namespace actormimic {

struct Task {
  enum class Kind { kStep, kReset, kDeliver };  // kDeliver: only write the newest result again
  Kind kind = Kind::kStep;
  int env = 0;
  int action = 0;
  float strength = 1.0f;
};

// An environment's state, or why it cannot be saved.
struct Saved {
  std::string state, problem;
};

struct Pool::Impl {
  explicit Impl(const PoolSettings& pool_settings);
  ~Impl() { close(); }

  void make_envs();
  void start_workers();
  void work();
  void run(const Task& task);
  void deliver(int env);
  void fail(int env, const char* what);
  void take_batches(const Batch* given, std::size_t count);
  void start_tasks(std::unique_lock<std::mutex>& lock, int results);
  void close();

  // These expect `mutex` to be held.
  void check_action(int env, std::int64_t action, float strength) const;
  void check_reset(const int* env_ids, std::size_t count) const;
  void check_batches(const Batch* given, std::size_t count, std::size_t room) const;
  void require_working() const;
  void bring_back(const std::vector<Saved>& before, int last);
  void require_idle(const char* what) const;        // no task under way
  void require_no_results(const char* what) const;  // and none to receive
  std::string name_of(int env) const;               // "env 3 (pong)"

  PoolSettings settings;
  int num_envs;
  int batch_size;
  bool ordered;  // row i of a batch is environment i
  pid_t owner = getpid();
  std::vector<std::unique_ptr<AtariEnv>> envs;
  TaskQueue<Task> queue;
  std::vector<Task> tasks;  // what the caller is about to queue; kept, so that it never allocates

  std::mutex joining;  // several threads may close the pool; one of them joins the workers
  std::vector<std::thread> workers;

  std::mutex mutex;  // guards everything below
  std::condition_variable changed;
  BatchLine line;
  std::vector<int> waiting;   // environments whose result found no row, oldest first
  std::vector<int> received;  // the environments of the batch that recv() returned last
  int running = 0;            // tasks queued or under way
  int outstanding = 0;        // results that recv() has not returned yet
  int working = 0;            // worker threads that have not ended
  bool answerable = false;    // `received` waits for its actions
  bool was_reset = false;
  bool closed = false;
  std::string error;
};

}  // namespace actormimic
