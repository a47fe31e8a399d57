#include "pool/pool.hpp"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <system_error>

#include "common/check.hpp"
#include "pool/pool_impl.hpp"

namespace actormimic {

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
  received.resize(batch_size);
  std::iota(received.begin(), received.end(), 0);
  make_envs();
  start_workers();
}

void Pool::Impl::make_envs() {
  for (int i = 0; i < num_envs; ++i) {
    try {
      envs.push_back(std::make_unique<AtariEnv>(settings.games[i], settings.env));
    } catch (const std::invalid_argument& problem) {
      throw std::invalid_argument(detail::join(name_of(i), ": ", problem.what()));
    } catch (const std::runtime_error& problem) {
      throw std::runtime_error(detail::join(name_of(i), ": ", problem.what()));
    }
  }
}

void Pool::Impl::start_workers() {
  const int processors = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const int wanted = settings.num_threads > 0 ? settings.num_threads : batch_size;
  settings.num_threads = std::min(wanted, processors);
  workers.reserve(static_cast<std::size_t>(settings.num_threads));
  for (int i = 0; i < settings.num_threads; ++i) {
    try {
      workers.emplace_back([this] { work(); });
      std::lock_guard<std::mutex> lock(mutex);
      ++working;
    } catch (const std::system_error& problem) {
      close();  // a thread that nobody joins would end the process
      throw std::runtime_error(detail::join("worker thread ", i + 1, " of ", settings.num_threads,
                                            " cannot be started: ", problem.what()));
    } catch (...) {
      close();
      throw;
    }
    if (settings.thread_affinity_offset < 0) continue;
    cpu_set_t processor;
    CPU_ZERO(&processor);
    CPU_SET((settings.thread_affinity_offset + i) % processors, &processor);
    // A processor outside the container's share refuses; the thread then runs anywhere, as in
    // ale-py.
    (void)pthread_setaffinity_np(workers.back().native_handle(), sizeof processor, &processor);
  }
}

std::string Pool::Impl::name_of(int env) const {
  return detail::join("env ", env, " (", settings.games[env].name, ")");
}

void Pool::Impl::close() {
  {
    std::lock_guard<std::mutex> lock(mutex);
    closed = true;
  }
  changed.notify_all();
  queue.stop();
  std::lock_guard<std::mutex> lock(joining);
  for (std::thread& worker : workers)
    if (worker.joinable()) worker.join();
}

void Pool::Impl::work() {
  Task task;
  while (queue.pop(task)) {
    try {
      run(task);
      deliver(task.env);
    } catch (const std::exception& problem) {
      fail(task.env, problem.what());
    } catch (...) {
      fail(task.env, "an exception of an unknown kind");
    }
  }
  {
    std::lock_guard<std::mutex> lock(mutex);
    --working;
  }
  changed.notify_all();
}

void Pool::Impl::run(const Task& task) {
  AtariEnv& env = *envs[task.env];
  if (task.kind == Task::Kind::kStep) env.step(task.action, task.strength);
  if (task.kind == Task::Kind::kReset) env.reset();
}

void Pool::Impl::fail(int env, const char* what) {
  std::lock_guard<std::mutex> lock(mutex);
  if (error.empty()) error = detail::join(name_of(env), " failed: ", what);
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
  const BatchLine::Row row = line.take_row(env, ordered);
  lock.unlock();
  envs[env]->write(env, row.slot);
  lock.lock();
  const bool complete = line.done(row.ticket);
  if (--running == 0 || complete) changed.notify_all();
}

void Pool::Impl::check_batches(const Batch* given, std::size_t count, std::size_t room) const {
  ensure(count <= room, "more batches than fit");
  for (std::size_t i = 0; i < count; ++i) given[i].check(envs[0]->obs_bytes());
}

// Adds batches to the line, and to `tasks` the delivery of results that had found no row.
void Pool::Impl::take_batches(const Batch* given, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) line.add(given[i]);
  const std::size_t delivered = std::min(waiting.size(), line.free_rows());
  for (std::size_t i = 0; i < delivered; ++i)
    tasks.push_back({Task::Kind::kDeliver, waiting[i], 0, 1.0f});
  waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(delivered));
}

// Hands `tasks`, which bring `results` more for recv(), to the workers and gives `lock` back.
// Counts before the first worker can be done; a count that a refused push left would be waited for
// for ever.
void Pool::Impl::start_tasks(std::unique_lock<std::mutex>& lock, int results) {
  const int count = static_cast<int>(tasks.size());
  outstanding += results;
  running += count;
  lock.unlock();
  try {
    queue.push(tasks.data(), tasks.size());
  } catch (...) {
    lock.lock();
    outstanding -= results;
    running -= count;
    throw;
  }
}

void Pool::Impl::require_working() const {
  ensure(!closed, "the pool is closed");
  ensure(error.empty(), error);
}

void Pool::Impl::require_idle(const char* what) const {
  ensure(running == 0, what, " with steps under way: call wait_idle() first");
}

void Pool::Impl::require_no_results(const char* what) const {
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

bool Pool::stop(std::chrono::milliseconds timeout) {
  if (impl_ == nullptr || impl_->owner != getpid()) return true;
  Impl& p = *impl_;
  std::unique_lock<std::mutex> lock(p.mutex);
  p.closed = true;
  p.changed.notify_all();
  p.queue.stop();
  return p.changed.wait_for(lock, timeout, [&] { return p.working == 0; });
}

bool Pool::wait_idle(std::chrono::milliseconds timeout) {
  Impl& p = open();
  std::unique_lock<std::mutex> lock(p.mutex);
  return p.changed.wait_for(lock, timeout, [&] { return p.running == 0 || p.closed; });
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
Emulation Pool::emulation(int env) const {
  require_index("env", env, num_envs());
  return open().envs[env]->emulation();
}

int Pool::batches_in_flight() const {
  const Impl& p = open();
  return (p.num_envs + p.batch_size - 1) / p.batch_size;
}

void Pool::set_line_capacity(std::size_t batches) {
  Impl& p = open();
  std::lock_guard<std::mutex> lock(p.mutex);
  p.require_no_results("a change of batches");
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
  require_no_results("a partial reset");
}

void Pool::reset(const int* env_ids, const int* seeds, std::size_t count, const Batch* given,
                 std::size_t given_count) {
  Impl& p = open();
  std::unique_lock<std::mutex> lock(p.mutex);
  p.check_reset(env_ids, count);
  const bool full = count == static_cast<std::size_t>(p.num_envs);
  p.require_idle("reset()");
  p.check_batches(given, given_count, full ? p.line.capacity() : p.line.room());
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
  p.outstanding = 0;
  p.start_tasks(lock, p.num_envs);
}

void Pool::Impl::check_action(int env, std::int64_t action, float strength) const {
  const int count = envs[env]->action_count();
  if (action < 0 || action >= count)
    throw std::invalid_argument(
        detail::join("action ", action, " of ", name_of(env), " is out of range [0, ", count, ")"));
  if (!(strength >= 0.0f && strength <= 1.0f))  // NaN too
    throw std::invalid_argument(detail::join("strength ", strength, " of ", name_of(env),
                                             " is out of range; allowed: 0 to 1"));
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
  for (std::size_t i = 0; i < count; ++i)
    p.check_action(p.received[i], actions[i], strengths == nullptr ? 1.0f : strengths[i]);
  p.check_batches(given, given_count, p.line.room());
  p.tasks.clear();
  p.take_batches(given, given_count);
  for (std::size_t i = 0; i < count; ++i) {
    p.tasks.push_back({Task::Kind::kStep, p.received[i], static_cast<int>(actions[i]),
                       strengths == nullptr ? 1.0f : strengths[i]});
  }
  p.answerable = false;
  p.start_tasks(lock, p.batch_size);
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
  batch = p.line.pop(p.received.data());
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
  p.check_batches(given, count, p.line.room());
  p.tasks.clear();
  p.take_batches(given, count);
  p.start_tasks(lock, 0);
}

}  // namespace actormimic
