#include "pool/pool.hpp"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "common/check.hpp"
#include "pool/task_queue.hpp"

namespace actormimic {
namespace {

struct Task {
  enum class Kind { kStep, kReset, kDeliver };  // kDeliver: only write the newest result again
  Kind kind = Kind::kStep;
  int env = 0;
  int action = 0;
  float strength = 1.0f;
};

constexpr std::uint32_t kStateMagic = 0x50534d41;  // "AMSP" in a little-endian file
constexpr std::uint32_t kStateVersion = 1;

}  // namespace

struct Pool::Impl {
  explicit Impl(const PoolSettings& pool_settings);
  ~Impl() { close(); }

  void work();
  void run(const Task& task);
  void deliver(int env);
  void fail(int env, const char* what);
  void check_reset(const int* env_ids, std::size_t count) const;
  void take_batches(const Batch* given, std::size_t count);
  void require_working() const;
  void require_idle(const char* what) const;
  void close();

  PoolSettings settings;
  int num_envs;
  int batch_size;
  bool ordered;  // row i of a batch is environment i
  pid_t owner = getpid();
  std::vector<std::unique_ptr<AtariEnv>> envs;
  TaskQueue<Task> queue;
  std::vector<std::thread> workers;
  std::vector<Task> tasks;  // what the caller is about to queue; kept, so that it never allocates

  std::mutex mutex;  // guards everything below
  std::condition_variable changed;
  BatchLine line;
  std::vector<int> waiting;   // environments whose result found no row, oldest first
  std::vector<int> received;  // the environments of the batch that recv() returned last
  int running = 0;            // tasks queued or under way
  int outstanding = 0;        // results that recv() has not returned yet
  bool answerable = false;    // `received` waits for its actions
  bool was_reset = false;
  bool closed = false;
  std::string error;
};

Pool::Impl::Impl(const PoolSettings& pool_settings)
    : settings(pool_settings),
      num_envs(static_cast<int>(pool_settings.games.size())),
      batch_size(pool_settings.batch_size == 0 ? num_envs : pool_settings.batch_size),
      ordered(batch_size == num_envs),
      queue(std::max(num_envs, 1)),
      line(1, 1) {
  require(num_envs >= 1, "num_envs is ", num_envs, "; allowed: 1 or more");
  require_range("batch_size", settings.batch_size, 0, num_envs);
  require_range("num_threads", settings.num_threads, 0, 100000);
  require_range("thread_affinity_offset", settings.thread_affinity_offset, -1, 100000);
  settings.env.check();
  line = BatchLine((num_envs + batch_size - 1) / batch_size + 1, batch_size);
  tasks.reserve(num_envs);
  waiting.reserve(num_envs);
  received.assign(batch_size, 0);
  for (int i = 0; i < num_envs; ++i) {
    const GameChoice& game = settings.games[i];
    try {
      envs.push_back(std::make_unique<AtariEnv>(game, settings.env));
    } catch (const std::invalid_argument& problem) {
      throw std::invalid_argument(detail::join("env ", i, " (", game.name, "): ", problem.what()));
    }
  }
  const int processors = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const int wanted = settings.num_threads > 0 ? settings.num_threads : batch_size;
  settings.num_threads = std::min(wanted, processors);
  for (int i = 0; i < settings.num_threads; ++i) {
    workers.emplace_back([this] { work(); });
    if (settings.thread_affinity_offset < 0) continue;
    cpu_set_t processor;
    CPU_ZERO(&processor);
    CPU_SET((settings.thread_affinity_offset + i) % processors, &processor);
    // A processor outside the container's share refuses; the thread then runs anywhere, as in
    // ale-py.
    (void)pthread_setaffinity_np(workers.back().native_handle(), sizeof processor, &processor);
  }
}

void Pool::Impl::close() {
  {
    std::lock_guard<std::mutex> lock(mutex);
    closed = true;
  }
  changed.notify_all();
  queue.stop();
  for (std::thread& worker : workers)
    if (worker.joinable()) worker.join();
}

void Pool::Impl::work() {
  Task task;
  while (queue.pop(task)) {
    try {
      run(task);
    } catch (const std::exception& problem) {
      fail(task.env, problem.what());
      continue;
    }
    deliver(task.env);
  }
}

void Pool::Impl::run(const Task& task) {
  AtariEnv& env = *envs[task.env];
  if (task.kind == Task::Kind::kStep) env.step(task.action, task.strength);
  if (task.kind == Task::Kind::kReset) env.reset();
}

void Pool::Impl::fail(int env, const char* what) {
  std::lock_guard<std::mutex> lock(mutex);
  if (error.empty())
    error = detail::join("env ", env, " (", settings.games[env].name, ") failed: ", what);
  --running;
  changed.notify_all();
}

void Pool::Impl::deliver(int env) {
  std::unique_lock<std::mutex> lock(mutex);
  if (!line.has_row()) {
    waiting.push_back(env);
    if (--running == 0) changed.notify_all();
    return;
  }
  const BatchLine::Row row = line.take_row(ordered ? env : -1);
  lock.unlock();
  envs[env]->write(env, row.slot);
  lock.lock();
  const bool complete = line.done(row.ticket);
  if (--running == 0 || complete) changed.notify_all();
}

// Adds batches to the line, and to `tasks` the delivery of results that had found no row.
void Pool::Impl::take_batches(const Batch* given, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) line.add(given[i]);
  const std::size_t delivered = std::min(waiting.size(), line.free_rows());
  for (std::size_t i = 0; i < delivered; ++i)
    tasks.push_back({Task::Kind::kDeliver, waiting[i], 0, 1.0f});
  waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(delivered));
}

void Pool::Impl::require_working() const {
  ensure(!closed, "the pool is closed");
  ensure(error.empty(), error);
}

void Pool::Impl::require_idle(const char* what) const {
  ensure(running == 0 && outstanding == 0, what, " with steps under way: call recv() first");
}

Pool::Pool(const PoolSettings& settings) : impl_(std::make_unique<Impl>(settings)) {}

Pool::~Pool() { close(); }

void Pool::close() {
  if (impl_ == nullptr) return;
  if (impl_->owner == getpid()) {
    impl_->close();
  } else {
    // The threads and whoever held a lock are the parent's: there is nothing here to join, and
    // destroying a condition variable with waiters would hang.
    (void)impl_.release();
  }
}

Pool::Impl& Pool::open() const {
  ensure(impl_ != nullptr && impl_->owner == getpid(),
         "the pool was made in another process and its threads did not survive the fork: make one "
         "in this process");
  return *impl_;
}

int Pool::num_envs() const { return open().num_envs; }
int Pool::batch_size() const { return open().batch_size; }
int Pool::num_threads() const { return open().settings.num_threads; }
std::size_t Pool::obs_bytes() const { return open().envs[0]->obs_bytes(); }
int Pool::action_count(int env) const {
  require_index("env", env, num_envs());
  return open().envs[env]->action_count();
}
const std::vector<int>& Pool::minimal_actions(int env) const {
  require_index("env", env, num_envs());
  return open().envs[env]->minimal_actions();
}

int Pool::batches_in_flight() const {
  const Impl& p = open();
  return (p.num_envs + p.batch_size - 1) / p.batch_size;
}

void Pool::set_line_capacity(std::size_t batches) {
  Impl& p = open();
  std::lock_guard<std::mutex> lock(p.mutex);
  p.require_idle("a change of batches");
  p.line = BatchLine(batches, static_cast<std::size_t>(p.batch_size));
}

void Pool::Impl::check_reset(const int* env_ids, std::size_t count) const {
  std::vector<bool> seen(num_envs, false);
  for (std::size_t i = 0; i < count; ++i) {
    require_index("reset env_id", env_ids[i], num_envs);
    require(!seen[env_ids[i]], "reset has a duplicate env_id=", env_ids[i]);
    seen[env_ids[i]] = true;
  }
  ensure(!closed, "the pool is closed");
  if (count == static_cast<std::size_t>(num_envs)) return;
  require_working();
  ensure(was_reset, "The first reset() must reset every environment (got ", count, " of ", num_envs,
         ")");
  require(ordered,
          "Partial reset is not supported for async mode where batch_size < num_envs (got "
          "batch_size=",
          batch_size, ", num_envs=", num_envs, ")");
  require_idle("a partial reset");
}

void Pool::reset(const int* env_ids, const int* seeds, std::size_t count, const Batch* given,
                 std::size_t given_count) {
  Impl& p = open();
  std::unique_lock<std::mutex> lock(p.mutex);
  p.check_reset(env_ids, count);
  const bool full = count == static_cast<std::size_t>(p.num_envs);
  ensure(given_count <= (full ? p.line.capacity() : p.line.room()), "more batches than fit");
  p.changed.wait(lock, [&] { return p.running == 0 || p.closed; });
  ensure(!p.closed, "the pool is closed");
  if (full) {
    p.error.clear();
    p.waiting.clear();
    p.line.clear();
    p.was_reset = true;
  }
  p.answerable = false;
  p.tasks.clear();
  p.take_batches(given, given_count);
  for (int env = 0; env < p.num_envs; ++env)
    p.tasks.push_back({Task::Kind::kDeliver, env, 0, 1.0f});
  for (std::size_t i = 0; i < count; ++i) {
    p.envs[env_ids[i]]->set_seed(seeds[i]);
    p.tasks[env_ids[i]].kind = Task::Kind::kReset;
  }
  p.outstanding = p.running = p.num_envs;
  lock.unlock();
  p.queue.push(p.tasks.data(), p.tasks.size());
}

void Pool::send(const std::int64_t* actions, const float* strengths, std::size_t count,
                const Batch* given, std::size_t given_count) {
  Impl& p = open();
  std::unique_lock<std::mutex> lock(p.mutex);
  p.require_working();
  ensure(p.was_reset, "send() called before reset()");
  ensure(p.answerable, "send() needs a batch to answer: call recv() first");
  require(count == static_cast<std::size_t>(p.batch_size), "Expected ", p.batch_size,
          " actions, got ", count);
  for (std::size_t i = 0; i < count; ++i) {
    const int env = p.received[i];
    const int actions_of_env = p.envs[env]->action_count();
    require(actions[i] >= 0 && actions[i] < actions_of_env, "action ", actions[i], " of env ", env,
            " (", p.settings.games[env].name, ") is out of range [0, ", actions_of_env, ")");
  }
  ensure(given_count <= p.line.room(), "more batches than fit");
  p.tasks.clear();
  p.take_batches(given, given_count);
  for (std::size_t i = 0; i < count; ++i) {
    p.tasks.push_back({Task::Kind::kStep, p.received[i], static_cast<int>(actions[i]),
                       strengths == nullptr ? 1.0f : strengths[i]});
  }
  p.answerable = false;
  p.outstanding += p.batch_size;
  p.running += static_cast<int>(p.tasks.size());
  lock.unlock();
  p.queue.push(p.tasks.data(), p.tasks.size());
}

bool Pool::recv(std::chrono::milliseconds timeout, Batch& batch) {
  Impl& p = open();
  std::unique_lock<std::mutex> lock(p.mutex);
  p.require_working();
  ensure(p.was_reset, "recv() called before reset()");
  ensure(p.outstanding >= p.batch_size && !p.line.empty(),
         "recv() has nothing to wait for: call send() first");
  const auto ready = [&] { return p.line.front_complete() || p.closed || !p.error.empty(); };
  if (!p.changed.wait_for(lock, timeout, ready)) return false;
  p.require_working();
  batch = p.line.pop();
  std::copy(batch.first.env_id, batch.first.env_id + p.batch_size, p.received.begin());
  p.outstanding -= p.batch_size;
  p.answerable = true;
  return true;
}

int Pool::outstanding() const {
  Impl& p = open();
  std::lock_guard<std::mutex> lock(p.mutex);
  return p.outstanding;
}

void Pool::add_batches(const Batch* given, std::size_t count) {
  Impl& p = open();
  std::unique_lock<std::mutex> lock(p.mutex);
  p.require_working();
  ensure(count <= p.line.room(), "more batches than fit");
  p.tasks.clear();
  p.take_batches(given, count);
  p.running += static_cast<int>(p.tasks.size());
  lock.unlock();
  p.queue.push(p.tasks.data(), p.tasks.size());
}

std::string Pool::clone_state() {
  Impl& p = open();
  std::unique_lock<std::mutex> lock(p.mutex);
  p.require_working();
  ensure(p.was_reset, "clone_state() called before reset()");
  p.changed.wait(lock, [&] { return p.running == 0 || p.closed; });
  p.require_working();
  StateWriter out;
  out.put(kStateMagic);
  out.put(kStateVersion);
  out.put(p.num_envs);
  out.put(p.batch_size);
  for (int i = 0; i < p.num_envs; ++i) {
    out.put_string(p.settings.games[i].name);
    StateWriter env;
    p.envs[i]->save(env);
    out.put_string(env.take());
  }
  out.put(p.answerable);
  for (const int env : p.received) out.put(env);
  // Results that wait for recv(), in their order: first those that have a row already.
  out.put(p.outstanding);
  for (std::size_t row = 0; row < p.line.given(); ++row) out.put(p.line.env_of(row));
  for (const int env : p.waiting) out.put(env);
  return out.take();
}

void Pool::restore_state(const char* bytes, std::size_t size) {
  Impl& p = open();
  std::unique_lock<std::mutex> lock(p.mutex);
  ensure(!p.closed, "the pool is closed");
  StateReader in(bytes, size);
  require(in.get<std::uint32_t>() == kStateMagic, "these bytes are not a saved pool");
  const auto version = in.get<std::uint32_t>();
  require(version == kStateVersion, "the saved pool is of version ", version,
          "; this build reads version ", kStateVersion);
  const int saved_envs = in.get<int>();
  const int saved_batch = in.get<int>();
  require(saved_envs == p.num_envs && saved_batch == p.batch_size, "the saved pool has ",
          saved_envs, " environments in batches of ", saved_batch, "; this one has ", p.num_envs,
          " in batches of ", p.batch_size);
  std::vector<std::string> states(p.num_envs);
  for (int i = 0; i < p.num_envs; ++i) {
    const std::string game = in.get_string();
    require(game == p.settings.games[i].name, "env ", i, " of the saved pool plays ", game,
            "; here it plays ", p.settings.games[i].name);
    states[i] = in.get_string();
  }
  const auto get_envs = [&](int count) {
    std::vector<int> envs(count);
    for (int& env : envs) {
      env = in.get<int>();
      require_range("environment in the saved pool", env, 0, p.num_envs - 1);
    }
    return envs;
  };
  const bool answerable = in.get<bool>();
  const std::vector<int> received = get_envs(p.batch_size);
  const int outstanding = in.get<int>();
  require_range("results in the saved pool", outstanding, 0, p.num_envs);
  const std::vector<int> undelivered = get_envs(outstanding);
  require(in.at_end(), "the saved pool has bytes too many");

  p.changed.wait(lock, [&] { return p.running == 0 || p.closed; });
  ensure(!p.closed, "the pool is closed");
  p.was_reset = false;
  p.line.clear();
  p.waiting.clear();
  p.outstanding = 0;
  for (int i = 0; i < p.num_envs; ++i) {
    StateReader env(states[i].data(), states[i].size());
    p.envs[i]->load(env);
    require(env.at_end(), "env ", i, " of the saved pool has bytes too many");
  }
  p.error.clear();
  p.received = received;
  p.answerable = answerable;
  p.waiting.assign(undelivered.begin(), undelivered.end());
  p.outstanding = outstanding;
  p.was_reset = true;
}

}  // namespace actormimic
