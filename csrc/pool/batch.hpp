// The caller's buffers for one batch of results, and the line they wait in to be filled.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "../common/check.hpp"
#include "../emulator/atari_env.hpp"

namespace actormimic {

// Rows of results, one array per kind; row i of each belongs to the i-th environment of the batch.
// Owns nothing: the caller keeps the memory alive until the pool has handed the batch back.
struct Batch {
  Slot first;                 // where row 0 goes; see there which pointers may be null
  std::size_t obs_bytes = 0;  // from one row of obs (and final_obs) to the next

  // Throws std::invalid_argument where a row of results that always is written has no place, or
  // rows of `wanted_obs_bytes` would not lie end to end.
  void check(std::size_t wanted_obs_bytes) const {
    const auto given = [](const char* name, const void* rows) {
      require(rows != nullptr, "a batch has no memory for ", name);
    };
    given("obs", first.obs);
    given("reward", first.reward);
    given("terminated", first.terminated);
    given("truncated", first.truncated);
    given("env_id", first.env_id);
    given("lives", first.lives);
    given("frame_number", first.frame_number);
    given("episode_frame_number", first.episode_frame_number);
    require(obs_bytes == wanted_obs_bytes, "a batch's obs_bytes is ", obs_bytes,
            "; allowed: ", wanted_obs_bytes);
  }

  Slot row(std::size_t i) const {
    Slot slot = first;
    slot.obs += i * obs_bytes;
    slot.reward += i;
    slot.terminated += i;
    slot.truncated += i;
    slot.env_id += i;
    slot.lives += i;
    slot.frame_number += i;
    slot.episode_frame_number += i;
    if (slot.final_obs != nullptr) slot.final_obs += i * obs_bytes;
    if (slot.ram != nullptr) slot.ram += i * kRamBytes;
    if (slot.life_lost != nullptr) slot.life_lost += i;
    if (slot.game_over != nullptr) slot.game_over += i;
    if (slot.autoreset != nullptr) slot.autoreset += i;
    return slot;
  }
};

// Batches in the order they were handed over: the first are complete or being filled, the rest are
// still empty. Rows are given out in order; a batch is complete when all of its rows are done. Not
// thread-safe; never allocates after construction.
class BatchLine {
 public:
  struct Row {
    std::size_t ticket = 0;  // for done()
    Slot slot;
  };

  BatchLine(std::size_t capacity, std::size_t rows_per_batch)
      : rows_(rows_per_batch), ring_(capacity) {
    for (Entry& entry : ring_) entry.envs.resize(rows_);
  }

  std::size_t capacity() const { return ring_.size(); }
  std::size_t room() const { return ring_.size() - size_; }
  bool empty() const { return size_ == 0; }

  // Only with room().
  void add(const Batch& batch) {
    Entry& entry = ring_[(first_ + size_) % ring_.size()];
    entry.batch = batch;
    entry.done = 0;
    ++size_;
  }

  bool has_row() const { return given_ < size_ * rows_; }
  std::size_t free_rows() const { return size_ * rows_ - given_; }

  // Rows given out and not popped, and the environment whose result goes to one of them.
  std::size_t given() const { return given_; }
  int env_of(std::size_t row) const {
    return ring_[(first_ + row / rows_) % ring_.size()].envs[row % rows_];
  }

  // A row for the result of `env`: the next in line, or where rows are `ordered` row `env` of the
  // batch being filled.
  Row take_row(int env, bool ordered) {
    const std::size_t batch = given_ / rows_;
    const std::size_t row = ordered ? static_cast<std::size_t>(env) : given_ % rows_;
    ++given_;
    const std::size_t place = (first_ + batch) % ring_.size();
    ring_[place].envs[row] = env;
    return {place, ring_[place].batch.row(row)};
  }

  // Reports a row as written. True when that completed its batch.
  bool done(std::size_t ticket) { return ++ring_[ticket].done == rows_; }

  bool front_complete() const { return size_ > 0 && ring_[first_].done == rows_; }

  // Takes the complete batch at the front out of the line; `envs` [rows_per_batch] says whose its
  // rows are.
  Batch pop(int* envs) {
    const Batch batch = ring_[first_].batch;
    std::copy(ring_[first_].envs.begin(), ring_[first_].envs.end(), envs);
    first_ = (first_ + 1) % ring_.size();
    --size_;
    given_ -= rows_;
    return batch;
  }

  void clear() { first_ = size_ = given_ = 0; }

 private:
  struct Entry {
    Batch batch;
    std::size_t done = 0;
    // Kept apart from the batch's env_id: that is the caller's memory, where anything may be
    // written before it is read back.
    std::vector<int> envs;
  };

  std::size_t rows_;
  std::vector<Entry> ring_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
  std::size_t given_ = 0;  // rows given out of the batches in line
};

}  // namespace actormimic
