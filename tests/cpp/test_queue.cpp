// The task queue and the line of batches.
#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "check.hpp"
#include "pool/batch.hpp"
#include "pool/task_queue.hpp"

using namespace actormimic;

TEST(one_producer_keeps_its_order) {
  constexpr int kItems = 100000;
  TaskQueue<int> queue(64);
  std::atomic<int> taken{0};
  std::vector<int> got;
  got.reserve(kItems);
  std::thread consumer([&] {
    int item = 0;
    while (queue.pop(item)) {
      got.push_back(item);
      if (++taken == kItems) return;
    }
  });
  for (int i = 0; i < kItems; ++i) {
    while (i - taken.load() >= 64) std::this_thread::yield();
    queue.push(&i, 1);
  }
  consumer.join();
  bool in_order = got.size() == kItems;
  for (int i = 0; in_order && i < kItems; ++i) in_order = got[i] == i;
  CHECK(in_order);
}

TEST(each_item_is_taken_once_by_many_consumers) {
  constexpr int kItems = 20000;
  TaskQueue<int> queue(kItems);
  std::vector<std::atomic<int>> seen(kItems);
  std::atomic<int> taken{0};
  std::vector<std::thread> consumers;
  for (int t = 0; t < 4; ++t) {
    consumers.emplace_back([&] {
      int item = 0;
      while (queue.pop(item)) {
        ++seen[item];
        if (++taken == kItems) queue.stop();
      }
    });
  }
  std::vector<int> items(kItems);
  for (int i = 0; i < kItems; ++i) items[i] = i;
  queue.push(items.data(), items.size());
  for (auto& consumer : consumers) consumer.join();
  bool once = true;
  for (const auto& count : seen) once = once && count == 1;
  CHECK(once);
}

TEST(a_full_queue_refuses_all_of_a_push) {
  TaskQueue<int> queue(3);
  const int items[] = {1, 2, 3, 4};
  queue.push(items, 2);
  CHECK_THROWS(queue.push(items, 2), std::runtime_error);
  queue.push(items + 2, 1);
  int item = 0;
  for (const int expected : {1, 2, 3}) CHECK(queue.pop(item) && item == expected);
}

TEST(stop_wakes_a_waiting_consumer) {
  TaskQueue<int> queue(1);
  bool result = true;
  std::thread consumer([&] {
    int item = 0;
    result = queue.pop(item);
  });
  queue.stop();
  consumer.join();
  CHECK(!result);
}

TEST(rows_come_in_order_and_batches_complete_in_order) {
  std::int32_t first_ids[2] = {}, second_ids[2] = {};
  Batch first, second;
  first.first.env_id = first_ids;
  second.first.env_id = second_ids;
  BatchLine line(3, 2);
  CHECK(!line.has_row());
  line.add(first);
  line.add(second);
  CHECK(line.free_rows() == 4 && line.room() == 1);
  const auto a = line.take_row(7, false), b = line.take_row(5, false), c = line.take_row(6, false);
  CHECK(a.slot.env_id == first_ids && b.slot.env_id == first_ids + 1);
  CHECK(c.slot.env_id == second_ids);
  CHECK(!line.done(c.ticket));
  CHECK(!line.done(b.ticket));
  CHECK(!line.front_complete());
  CHECK(line.done(a.ticket));
  CHECK(line.front_complete());
  first_ids[0] = 99;  // the caller's memory says nothing about whose the rows are
  int envs[2] = {};
  CHECK(line.env_of(0) == 7 && line.env_of(2) == 6);
  CHECK(line.pop(envs).first.env_id == first_ids);
  CHECK(envs[0] == 7 && envs[1] == 5);
  CHECK(!line.front_complete() && line.free_rows() == 1);
  const auto d = line.take_row(0, true);  // the row of environment 0
  CHECK(d.slot.env_id == second_ids);
  CHECK(line.done(d.ticket) && line.front_complete());
  line.clear();
  CHECK(line.empty() && !line.has_row());
}
