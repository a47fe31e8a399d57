// A bounded first-in first-out queue between the caller and the workers.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <vector>

#include "common/check.hpp"

namespace actormimic {

// Holds at most `capacity` items and never allocates after construction.
template <typename T>
class TaskQueue {
 public:
  explicit TaskQueue(std::size_t capacity) : ring_(capacity) {}

  // Appends `count` items. Never blocks. Throws std::runtime_error when they do not fit, with
  // nothing appended. Thread-safe.
  void push(const T* items, std::size_t count) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      ensure(count <= ring_.size() - size_, "task queue is full: ", size_, " of ", ring_.size());
      for (std::size_t i = 0; i < count; ++i) ring_[(first_ + size_ + i) % ring_.size()] = items[i];
      size_ += count;
    }
    if (count == 1) {
      available_.notify_one();
    } else {
      available_.notify_all();
    }
  }

  // Takes the oldest item, blocking while there is none. False once the queue is stopped.
  // Thread-safe.
  bool pop(T& item) {
    std::unique_lock<std::mutex> lock(mutex_);
    available_.wait(lock, [this] { return stopped_ || size_ > 0; });
    if (stopped_) return false;
    item = ring_[first_];
    first_ = (first_ + 1) % ring_.size();
    --size_;
    return true;
  }

  // Wakes every pop() for good; items still queued are dropped. Thread-safe.
  void stop() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopped_ = true;
    }
    available_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable available_;
  std::vector<T> ring_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
  bool stopped_ = false;
};

}  // namespace actormimic
