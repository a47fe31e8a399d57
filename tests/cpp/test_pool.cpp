// The pool without Python: results, allocation, failures, shutting down in mid-step.
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <new>
#include <stdexcept>
#include <thread>
#include <vector>

#include "check.hpp"
#include "pool/pool.hpp"

using namespace actormimic;

namespace {

std::atomic<long> allocations{0};

constexpr std::chrono::milliseconds kPatience{60000};

GameChoice rom(const std::string& name) {
  return {name, std::string(ACTORMIMIC_TEST_ROMS) + "/" + name + ".bin", -1, -1};
}

PoolSettings settings_of(const std::vector<std::string>& names, int batch_size, int threads) {
  PoolSettings settings;
  for (const auto& name : names) settings.games.push_back(rom(name));
  settings.batch_size = batch_size;
  settings.num_threads = threads;
  return settings;
}

// Memory for one batch.
struct Memory {
  Memory(const Pool& pool) : rows(static_cast<std::size_t>(pool.batch_size())) {
    obs.resize(rows * pool.obs_bytes());
    numbers.resize(rows * 5);
    flags = std::make_unique<bool[]>(rows * 2);
    Slot& slot = batch.first;
    slot.obs = obs.data();
    slot.reward = numbers.data();
    slot.env_id = numbers.data() + rows;
    slot.lives = numbers.data() + rows * 2;
    slot.frame_number = numbers.data() + rows * 3;
    slot.episode_frame_number = numbers.data() + rows * 4;
    slot.terminated = flags.get();
    slot.truncated = flags.get() + rows;
    batch.obs_bytes = pool.obs_bytes();
  }
  std::size_t rows;
  std::vector<std::uint8_t> obs;
  std::vector<std::int32_t> numbers;
  std::unique_ptr<bool[]> flags;
  Batch batch;
};

void reset_all(Pool& pool, const std::vector<Batch>& batches, int seed) {
  std::vector<int> ids(pool.num_envs()), seeds(pool.num_envs());
  for (int i = 0; i < pool.num_envs(); ++i) {
    ids[i] = i;
    seeds[i] = seed < 0 ? -1 : seed + i;
  }
  pool.reset(ids.data(), seeds.data(), ids.size(), batches.data(), batches.size());
}

}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

TEST(same_results_for_any_number_of_threads) {
  std::vector<std::vector<std::uint8_t>> observations;
  for (const int threads : {1, 2}) {
    Pool pool(settings_of({"pong", "breakout", "pong"}, 0, threads));
    Memory memory(pool);
    reset_all(pool, {memory.batch}, 11);
    Batch batch;
    CHECK(pool.recv(kPatience, batch));
    for (int t = 0; t < 30; ++t) {
      const std::int64_t actions[] = {t % 6, t % 4, (t + 1) % 6};
      pool.send(actions, nullptr, 3, &batch, 1);
      CHECK(pool.recv(kPatience, batch));
    }
    observations.push_back(memory.obs);
  }
  CHECK(observations[0] == observations[1]);
}

TEST(a_step_allocates_nothing) {
  Pool pool(settings_of({"pong", "pong", "breakout", "seaquest"}, 0, 2));
  Memory memory(pool);
  reset_all(pool, {memory.batch}, 1);
  Batch batch;
  CHECK(pool.recv(kPatience, batch));
  const std::int64_t actions[] = {0, 1, 1, 2};
  long before = 0;
  for (int t = 0; t < 60; ++t) {
    if (t == 10) before = allocations;
    pool.send(actions, nullptr, 4, &batch, 1);
    CHECK(pool.recv(kPatience, batch));
  }
  CHECK(allocations == before);
}

TEST(first_results_come_first_and_none_is_lost) {
  Pool pool(settings_of(std::vector<std::string>(5, "pong"), 2, 2));
  std::vector<std::unique_ptr<Memory>> memories;
  std::vector<Batch> batches;
  for (int i = 0; i < pool.batches_in_flight(); ++i) {
    memories.push_back(std::make_unique<Memory>(pool));
    batches.push_back(memories.back()->batch);
  }
  reset_all(pool, batches, 1);
  std::vector<int> steps(5, 0);
  Batch batch;
  const std::int64_t noops[] = {0, 0};
  // A worker may be put to sleep for long, so no fixed number of rounds shows every environment.
  while (*std::min_element(steps.begin(), steps.end()) < 3) {
    CHECK(pool.recv(kPatience, batch));
    for (int i = 0; i < 2; ++i) ++steps[batch.first.env_id[i]];
    pool.send(noops, nullptr, 2, &batch, 1);
  }
  pool.close();
}

TEST(one_batch_serves_an_asynchronous_pool) {
  Pool pool(settings_of(std::vector<std::string>(4, "pong"), 2, 2));
  Memory memory(pool);
  reset_all(pool, {memory.batch}, 1);
  Batch batch;
  const std::int64_t noops[] = {0, 0};
  std::vector<int> steps(4, 0);
  while (*std::min_element(steps.begin(), steps.end()) < 3) {
    CHECK(pool.recv(kPatience, batch));
    for (int i = 0; i < 2; ++i) ++steps[batch.first.env_id[i]];
    CHECK_THROWS(pool.recv(kPatience, batch), std::runtime_error);  // its only batch is out
    pool.send(noops, nullptr, 2, &batch, 1);
  }
  pool.close();
}

TEST(mistakes_are_refused_before_anything_moves) {
  Pool pool(settings_of({"pong", "breakout"}, 0, 1));
  Memory memory(pool);
  Batch batch;
  const std::int64_t good[] = {0, 0}, bad[] = {0, 4}, negative[] = {-1, 0};
  CHECK_THROWS(pool.recv(kPatience, batch), std::runtime_error);
  CHECK_THROWS(pool.send(good, nullptr, 2, nullptr, 0), std::runtime_error);
  CHECK_THROWS(pool.clone_state(), std::runtime_error);
  const int ids[] = {0, 0}, both[] = {0, 1}, far[] = {7}, seeds[] = {-1, -1};
  CHECK_THROWS(pool.reset(ids, seeds, 2, nullptr, 0), std::invalid_argument);
  CHECK_THROWS(pool.reset(far, seeds, 1, nullptr, 0), std::out_of_range);
  CHECK_THROWS(pool.reset(ids, seeds, 1, nullptr, 0), std::runtime_error);  // the first is full
  reset_all(pool, {memory.batch}, 1);
  CHECK(pool.recv(kPatience, batch));
  const int frame = batch.first.frame_number[0];
  CHECK_THROWS(pool.send(bad, nullptr, 2, &batch, 1), std::invalid_argument);
  CHECK_THROWS(pool.send(negative, nullptr, 2, &batch, 1), std::invalid_argument);
  CHECK_THROWS(pool.send(good, nullptr, 1, &batch, 1), std::invalid_argument);
  Batch nowhere = batch, overlapping = batch;
  nowhere.first.lives = nullptr;
  overlapping.obs_bytes -= 1;
  for (const Batch& wrong : {nowhere, overlapping}) {
    CHECK_THROWS(pool.send(good, nullptr, 2, &wrong, 1), std::invalid_argument);
    CHECK_THROWS(pool.reset(both, seeds, 2, &wrong, 1), std::invalid_argument);
    CHECK_THROWS(pool.add_batches(&wrong, 1), std::invalid_argument);
  }
  pool.send(good, nullptr, 2, &batch, 1);
  CHECK_THROWS(pool.send(good, nullptr, 2, &batch, 1), std::runtime_error);
  CHECK(pool.recv(kPatience, batch));
  CHECK(batch.first.frame_number[0] == frame + 4);
  CHECK_THROWS(pool.recv(kPatience, batch), std::runtime_error);
  CHECK_THROWS(Pool(settings_of({}, 0, 1)), std::invalid_argument);
  CHECK_THROWS(Pool(settings_of({"pong"}, 2, 1)), std::invalid_argument);
  CHECK_THROWS(Pool(settings_of({"no_such_rom"}, 0, 1)), std::invalid_argument);
}

TEST(a_failure_reaches_the_caller_and_a_reset_heals) {
  const std::string copy =
      (std::filesystem::temp_directory_path() / ("actormimic_" + std::to_string(getpid()) + ".bin"))
          .string();
  const auto restore = [&] {
    std::filesystem::copy_file(rom("pong").rom_path, copy,
                               std::filesystem::copy_options::overwrite_existing);
  };
  restore();
  PoolSettings settings = settings_of({"pong", "pong"}, 0, 2);
  settings.games[1].rom_path = copy;
  Pool pool(settings);
  Memory memory(pool);
  std::filesystem::remove(copy);
  reset_all(pool, {memory.batch}, 3);
  Batch batch;
  std::string message;
  try {
    pool.recv(kPatience, batch);
  } catch (const std::runtime_error& problem) {
    message = problem.what();
  }
  CHECK(message.find("env 1 (pong)") != std::string::npos);
  CHECK(message.find("has gone") != std::string::npos);
  restore();
  CHECK(pool.wait_idle(kPatience));
  reset_all(pool, {memory.batch}, 3);
  CHECK(pool.recv(kPatience, batch));
  std::filesystem::remove(copy);
}

TEST(destroyed_in_mid_step) {
  for (int round = 0; round < 5; ++round) {
    auto pool = std::make_unique<Pool>(settings_of({"pong", "pong", "pong"}, 2, 2));
    Memory memory(*pool);
    reset_all(*pool, {memory.batch}, round % 2 == 0 ? -1 : 5);
    pool.reset();
  }
}

TEST(close_wakes_a_waiting_recv) {
  Pool pool(settings_of(std::vector<std::string>(8, "pong"), 0, 1));
  Memory memory(pool);
  reset_all(pool, {memory.batch}, 2);
  bool refused = false;
  std::thread waiter([&] {
    Batch batch;
    try {
      pool.recv(kPatience, batch);
    } catch (const std::runtime_error&) {
      refused = true;
    }
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  pool.close();
  waiter.join();
  CHECK(refused);
  Batch batch;
  CHECK_THROWS(pool.recv(kPatience, batch), std::runtime_error);
  pool.close();
}

TEST(several_threads_may_close) {
  for (int round = 0; round < 4; ++round) {
    Pool pool(settings_of(std::vector<std::string>(3, "pong"), 0, 2));
    Memory memory(pool);
    reset_all(pool, {memory.batch}, 2);
    std::vector<std::thread> closers;
    for (int i = 0; i < 3; ++i) closers.emplace_back([&] { pool.close(); });
    for (std::thread& closer : closers) closer.join();
    CHECK(pool.stop(std::chrono::milliseconds(0)));
  }
}

TEST(waits_end_when_their_time_is_over) {
  PoolSettings settings = settings_of(std::vector<std::string>(4, "pong"), 0, 1);
  settings.env.frame_skip = 1000;
  Pool pool(settings);
  Memory memory(pool);
  reset_all(pool, {memory.batch}, 2);
  Batch batch;
  CHECK(pool.recv(kPatience, batch));
  const std::int64_t noops[] = {0, 0, 0, 0};
  pool.send(noops, nullptr, 4, &batch, 1);
  CHECK(!pool.wait_idle(std::chrono::milliseconds(0)));
  CHECK_THROWS(pool.clone_state(), std::runtime_error);
  const int ids[] = {0, 1, 2, 3}, seeds[] = {-1, -1, -1, -1};
  CHECK_THROWS(pool.reset(ids, seeds, 4, &batch, 1), std::runtime_error);
  CHECK(pool.wait_idle(kPatience));
  const std::string state = pool.clone_state();
  CHECK(pool.recv(kPatience, batch));
  pool.send(noops, nullptr, 4, &batch, 1);
  CHECK_THROWS(pool.restore_state(state.data(), state.size()), std::runtime_error);
  // A worker that has not begun its step yet ends at once, so no time is too short for sure.
  pool.stop(std::chrono::milliseconds(0));
  CHECK(pool.stop(kPatience));
  CHECK(pool.wait_idle(std::chrono::milliseconds(0)));
}

// The last worker finds no room for its stack; those before it must end all the same.
TEST(a_thread_that_cannot_start_is_an_error) {
  constexpr std::size_t kStack = std::size_t{1} << 30;
  const int threads = std::min(2, static_cast<int>(std::thread::hardware_concurrency()));
  pthread_attr_t usual, large;
  pthread_getattr_default_np(&usual);
  pthread_attr_init(&large);
  pthread_attr_setstacksize(&large, kStack);
  pthread_setattr_default_np(&large);
  rlimit before;
  getrlimit(RLIMIT_AS, &before);
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  rlimit tight = before;
  tight.rlim_cur = pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) +
                   kStack * static_cast<std::size_t>(threads - 1) + kStack / 2;
  setrlimit(RLIMIT_AS, &tight);
  std::string message;
  try {
    Pool pool(settings_of({"pong", "pong"}, 0, threads));
  } catch (const std::runtime_error& problem) {
    message = problem.what();
  }
  setrlimit(RLIMIT_AS, &before);
  pthread_setattr_default_np(&usual);
  pthread_attr_destroy(&large);
  const std::string last = std::to_string(threads);
  CHECK(message.find("worker thread " + last + " of " + last + " cannot be started") == 0);
}

TEST(a_restored_pool_goes_on_as_the_saved_one_did) {
  PoolSettings settings = settings_of({"breakout", "pong"}, 0, 1);
  settings.env.repeat_action_probability = 0.25f;
  Pool first(settings), second(settings);
  Memory one(first), two(second);
  Batch batch;
  reset_all(first, {one.batch}, 9);
  CHECK(first.recv(kPatience, batch));
  const auto play = [&](Pool& pool, Memory& memory, int from, int to) {
    for (int t = from; t < to; ++t) {
      const std::int64_t actions[] = {t * 7 % 4, t * 5 % 6};
      pool.send(actions, nullptr, 2, &memory.batch, 1);
      CHECK(pool.recv(kPatience, batch));
    }
  };
  play(first, one, 0, 37);
  const std::string state = first.clone_state();
  second.restore_state(state.data(), state.size());
  play(first, one, 37, 150);
  play(second, two, 37, 150);
  CHECK(one.obs == two.obs);
  CHECK(first.clone_state() == second.clone_state());
  CHECK_THROWS(second.restore_state(state.data(), state.size() - 1), std::invalid_argument);
  CHECK_THROWS(second.restore_state(state.data(), 0), std::invalid_argument);
  Pool other(settings_of({"pong", "pong"}, 0, 1));
  CHECK_THROWS(other.restore_state(state.data(), state.size()), std::invalid_argument);
}
