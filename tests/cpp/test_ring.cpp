#include <unistd.h>

#include <atomic>
#include <cstring>
#include <stdexcept>
#include <thread>
#include <vector>

#include "check.hpp"
#include "replay/process.hpp"
#include "replay/ring.hpp"

using namespace actormimic::replay;

namespace {

constexpr std::uint32_t kPixels = 2048;

// The pixels of a row: enough of its lane and number to tell it from every other one.
void paint(std::uint8_t* frame, std::int64_t lane, std::uint64_t row) {
  for (std::uint32_t i = 0; i < kPixels; ++i)
    frame[i] = static_cast<std::uint8_t>((lane * 31 + row * 7 + i) | 1);
}

bool is_painted(const std::byte* frame, std::int64_t lane, std::uint64_t row) {
  std::uint8_t expected[kPixels];
  paint(expected, lane, row);
  return std::memcmp(frame, expected, kPixels) == 0;
}

bool is_zero(const std::byte* frame) {
  for (std::uint32_t i = 0; i < kPixels; ++i)
    if (frame[i] != std::byte{0}) return false;
  return true;
}

RingShape small(std::uint32_t lanes, std::uint64_t rows) {
  RingShape shape;
  shape.lanes = lanes;
  shape.rows_per_lane = rows;
  shape.frame_shape = {kPixels};
  shape.extras = {{"row", "<i8", {}}};
  return shape;
}

constexpr std::uint64_t kEpisode = 13;

// Appends row `row` to `lane`; every kEpisode rows a history ends.
void append(ReplayRing& ring, std::int64_t lane, std::uint64_t row) {
  std::uint8_t frame[kPixels];
  paint(frame, lane, row);
  const std::int64_t action = static_cast<std::int64_t>(row % 18);
  const float reward = static_cast<float>(row);
  const std::uint8_t terminal = row % kEpisode == kEpisode - 1;
  AppendRows rows;
  rows.count = 1;
  rows.lanes = &lane;
  rows.frames = frame;
  rows.frame_stride = kPixels;
  rows.actions = &action;
  rows.rewards = &reward;
  rows.terminals = &terminal;
  rows.extras = {reinterpret_cast<const std::byte*>(&row)};
  ring.append(rows);
}

struct Sample {
  explicit Sample(std::int64_t batch)
      : obs(batch * 4 * kPixels),
        next_obs(batch * 4 * kPixels),
        actions(batch),
        index(batch),
        rows(batch),
        terminals(batch) {}

  SampleRequest request(std::uint64_t seed) {
    SampleRequest request;
    request.batch = static_cast<std::int64_t>(index.size());
    request.seed = seed;
    request.out.obs = obs.data();
    request.out.next_obs = next_obs.data();
    request.out.actions = actions.data();
    request.out.index = index.data();
    request.out.terminals = terminals.data();
    request.out.extras = {reinterpret_cast<std::byte*>(rows.data())};
    return request;
  }

  // Whether every stack of draw i is made of whole frames of the rows that it should hold.
  bool is_whole(std::size_t i, std::uint64_t rows_per_lane) const {
    const auto lane =
        static_cast<std::int64_t>(static_cast<std::uint64_t>(index[i]) / rows_per_lane);
    const std::uint64_t row = rows[i];
    const std::uint64_t age = row % kEpisode;
    bool ok = static_cast<std::uint64_t>(index[i]) % rows_per_lane == row % rows_per_lane &&
              actions[i] == static_cast<std::int64_t>(row % 18) &&
              (terminals[i] != 0) == (age == kEpisode - 1);
    for (std::uint64_t back = 0; back < 4; ++back) {
      const std::byte* frame = obs.data() + (i * 4 + 3 - back) * kPixels;
      ok = ok && (back <= age ? is_painted(frame, lane, row - back) : is_zero(frame));
      const std::byte* next = next_obs.data() + (i * 4 + 3 - back) * kPixels;
      const bool held = terminals[i] == 0 && back <= age + 1;
      ok = ok && (held ? is_painted(next, lane, row + 1 - back) : is_zero(next));
    }
    return ok;
  }

  std::vector<std::byte> obs, next_obs;
  std::vector<std::int64_t> actions, index;
  std::vector<std::uint64_t> rows;
  std::vector<std::uint8_t> terminals;
};

}  // namespace

TEST(stacks_are_whole_through_several_wraps) {
  ReplayRing ring = ReplayRing::create(small(2, 40), {});
  Sample sample(64);
  for (std::uint64_t row = 0; row < 500; ++row) {
    for (std::int64_t lane = 0; lane < 2; ++lane) append(ring, lane, row);
    if (ring.valid_rows() == 0) continue;
    ring.sample(sample.request(row));
    for (std::size_t i = 0; i < sample.index.size(); ++i) CHECK(sample.is_whole(i, 40));
  }
}

// Small rings, so that writers overtake readers all the time.
TEST(writers_and_readers_at_work_never_tear_a_stack) {
  constexpr std::int64_t kLanes = 4;
  constexpr std::uint64_t kRows = 6, kAppends = 10000;
  ReplayRing ring = ReplayRing::create(small(kLanes, kRows), {});
  for (std::int64_t lane = 0; lane < kLanes; ++lane)
    for (std::uint64_t row = 0; row < kRows; ++row) append(ring, lane, row);
  std::atomic<int> writing{2};
  std::atomic<std::uint64_t> torn{0}, samples{0};
  std::vector<std::thread> threads;
  for (std::int64_t first = 0; first < kLanes; first += 2)
    threads.emplace_back([&, first] {
      for (std::uint64_t row = kRows; row < kAppends; ++row)
        for (std::int64_t lane = first; lane < first + 2; ++lane) append(ring, lane, row);
      --writing;
    });
  for (std::uint64_t reader = 0; reader < 2; ++reader)
    threads.emplace_back([&, reader] {
      Sample sample(32);
      for (std::uint64_t seed = reader; writing > 0; seed += 2) {
        ring.sample(sample.request(seed));
        for (std::size_t i = 0; i < sample.index.size(); ++i)
          if (!sample.is_whole(i, kRows)) ++torn;
        ++samples;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(torn == 0);
  CHECK(samples > 0);
  for (std::int64_t lane = 0; lane < kLanes; ++lane) CHECK(ring.rows_written(lane) == kAppends);
}

TEST(rows_without_memory_are_refused) {
  ReplayRing ring = ReplayRing::create(small(1, 8), {});
  AppendRows rows;
  rows.count = 1;
  CHECK_THROWS(ring.append(rows), std::invalid_argument);
  CHECK(ring.rows_written(0) == 0);
}

TEST(two_writers_of_one_lane_are_told_apart_from_a_dead_one) {
  ReplayRing ring = ReplayRing::create(small(1, 8), {});
  const auto& header = *reinterpret_cast<const RingHeader*>(ring.data());
  auto& control =
      *reinterpret_cast<LaneControl*>(const_cast<std::byte*>(ring.data()) + header.lanes_offset);
  control.writer = this_process();
  CHECK_THROWS(append(ring, 0, 0), std::runtime_error);
  CHECK(ring.rows_written(0) == 0);
  CHECK(ring.report(0).writer == static_cast<int>(::getpid()));
  control.writer = this_process() ^ (std::uint64_t{1} << 40);  // another life of the same number
  append(ring, 0, 0);
  CHECK(ring.rows_written(0) == 1);
  CHECK(control.writer == 0);
}

// Steps 4 to 6 of ring_layout.hpp, interrupted after each.
TEST(a_row_left_unsettled_is_settled_by_the_next_writer) {
  ReplayRing undisturbed = ReplayRing::create(small(1, 8), {});
  for (std::uint64_t row = 0; row <= 20; ++row) append(undisturbed, 0, row);
  for (int killed_after = 0; killed_after < 4; ++killed_after) {
    ReplayRing ring = ReplayRing::create(small(1, 8), {});
    for (std::uint64_t row = 0; row < 20; ++row) append(ring, 0, row);
    const auto& header = *reinterpret_cast<const RingHeader*>(ring.data());
    auto* data = const_cast<std::byte*>(ring.data());
    auto& control = *reinterpret_cast<LaneControl*>(data + header.lanes_offset);
    auto* rows = reinterpret_cast<RowMeta*>(data + header.rows_offset);
    // Row 19 made row 18 valid; take back what a writer killed at this point had not done yet.
    if (killed_after < 3) control.settled = 19;
    if (killed_after < 3) --control.valid_head;
    if (killed_after < 2) rows[18 % 8].flags &= static_cast<std::uint8_t>(~kValid);
    if (killed_after < 1) control.committed = 19;
    const std::uint64_t next = killed_after < 1 ? 19 : 20;
    append(ring, 0, next);
    if (next == 19) append(ring, 0, 20);
    CHECK(ring.rows_written(0) == 21);
    CHECK(ring.valid_rows() == undisturbed.valid_rows());
    Sample sample(200);
    ring.sample(sample.request(1));
    bool seen = false;
    for (std::size_t i = 0; i < sample.index.size(); ++i) {
      CHECK(sample.is_whole(i, 8));
      seen = seen || sample.rows[i] == 18;
    }
    CHECK(seen);
  }
}

TEST(a_sample_from_an_empty_ring_throws) {
  ReplayRing ring = ReplayRing::create(small(2, 8), {});
  Sample sample(4);
  CHECK_THROWS(ring.sample(sample.request(0)), std::invalid_argument);
}

TEST(extras_must_be_complete) {
  ReplayRing ring = ReplayRing::create(small(1, 8), {});
  const std::int64_t action = 0;
  const float reward = 0;
  const std::uint8_t frame[kPixels] = {}, terminal = 0;
  AppendRows rows;
  rows.count = 1;
  rows.frames = frame;
  rows.actions = &action;
  rows.rewards = &reward;
  rows.terminals = &terminal;
  CHECK_THROWS(ring.append(rows), std::invalid_argument);
  CHECK(ring.rows_written(0) == 0);
}
