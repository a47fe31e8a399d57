// The draw that runs where a batch is gathered, against the ring's own: from the same bookkeeping
// and seed both must come to the same rows.
#include "ops/transition_draw.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "cuda_on_host.hpp"
#include "ops/transition_draw_kernel.cuh"
#include "replay/ring.hpp"

using namespace actormimic;
using namespace actormimic::ops;

namespace {

constexpr std::int64_t kRings = 3, kLanes = 2, kRows = 11, kPerRing = 200;
constexpr std::int64_t kBatch = kRings * kPerRing;
constexpr std::uint8_t kPixels = 8;

// Rings whose frames say which element of all rings' frames they are, as its number plus 1.
std::vector<replay::ReplayRing> make_rings(int steps) {
  std::vector<replay::ReplayRing> rings;
  std::uint64_t count = 0;
  for (std::int64_t number = 0; number < kRings; ++number) {
    replay::RingShape shape;
    shape.lanes = kLanes;
    shape.rows_per_lane = kRows;
    shape.frame_shape = {kPixels};
    rings.push_back(replay::ReplayRing::create(shape, {}));
    for (int step = 0; step < steps + number; ++step)
      for (std::int64_t lane = 0; lane < kLanes; ++lane) {
        const auto bits = random_bits(5, count++, 0);
        const std::int64_t element =
            (number * kLanes + lane) * kRows +
            static_cast<std::int64_t>(rings.back().rows_written(lane)) % kRows;
        std::vector<std::uint8_t> frame(kPixels, static_cast<std::uint8_t>(element + 1));
        const std::int64_t action = bits % 9 == 0 ? -1 : static_cast<std::int64_t>(bits % 18);
        const float reward = static_cast<float>(bits % 1000) * 0.37f;
        const std::uint8_t terminal = bits % 6 == 0;
        replay::AppendRows rows;
        rows.count = 1;
        rows.lanes = &lane;
        rows.frames = frame.data();
        rows.frame_stride = kPixels;
        rows.actions = &action;
        rows.rewards = &reward;
        rows.terminals = &terminal;
        rings.back().append(rows);
      }
  }
  return rings;
}

// The rings' bookkeeping end to end, and where the draws go.
struct Tables {
  explicit Tables(const std::vector<replay::ReplayRing>& rings) {
    for (const replay::ReplayRing& ring : rings) {
      const auto& header = *reinterpret_cast<const replay::RingHeader*>(ring.data());
      const auto copy = [&](std::vector<std::int64_t>& to, std::uint64_t offset) {
        const std::size_t at = to.size();
        to.resize(at + kLanes * kRows);
        std::memcpy(&to[at], ring.data() + offset, kLanes * kRows * sizeof(std::int64_t));
      };
      copy(rows, header.rows_offset);
      copy(queues, header.queues_offset);
      const auto* lanes =
          reinterpret_cast<const replay::LaneControl*>(ring.data() + header.lanes_offset);
      for (std::int64_t lane = 0; lane < kLanes; ++lane) {
        cursors.push_back(static_cast<std::int64_t>(lanes[lane].valid_tail.load()));
        cursors.push_back(static_cast<std::int64_t>(lanes[lane].valid_head.load()));
      }
    }
  }

  TransitionDraw draw(std::int64_t n_step, double gamma) {
    TransitionDraw d;
    d.rows = rows.data();
    d.queues = queues.data();
    d.cursors = cursors.data();
    d.rings = kRings;
    d.lanes = kLanes;
    d.rows_per_lane = kRows;
    d.per_ring = kPerRing;
    d.n_step = n_step;
    d.gamma = gamma;
    d.prefixes = prefixes;
    d.counter = &counter;
    d.index = index.data();
    d.frames = frames.data();
    d.next_frames = next_frames.data();
    d.actions = actions.data();
    d.rewards = rewards.data();
    d.discounts = discounts.data();
    return d;
  }

  std::vector<std::int64_t> rows, queues, cursors;
  std::int64_t prefixes[kRings] = {11, -7, 99};
  std::uint64_t counter = 5;
  std::vector<std::int64_t> index = std::vector<std::int64_t>(kBatch, -9), actions = index;
  std::vector<std::int64_t> frames = std::vector<std::int64_t>(kBatch * kStack, -9);
  std::vector<std::int64_t> next_frames = frames;
  std::vector<float> rewards = std::vector<float>(kBatch, -9.0f), discounts = rewards;
};

// Whether the sampled stack's frames are those that were drawn.
bool is_stack(const std::byte* sampled, const std::int64_t* drawn) {
  for (int frame = 0; frame < kStack; ++frame)
    if (static_cast<std::int64_t>(sampled[frame * kPixels]) != drawn[frame] + 1) return false;
  return true;
}

void compare_with_the_rings(int steps, std::int64_t n_step, double gamma) {
  const std::vector<replay::ReplayRing> rings = make_rings(steps);
  Tables tables(rings);
  draw_transitions(tables.draw(n_step, gamma));
  CHECK(tables.counter == 6);
  for (std::int64_t number = 0; number < kRings; ++number) {
    std::vector<std::byte> obs(kPerRing * kStack * kPixels), next_obs(obs.size());
    std::vector<std::int64_t> index(kPerRing), actions(kPerRing);
    std::vector<float> rewards(kPerRing), discounts(kPerRing);
    replay::SampleRequest request;
    request.batch = kPerRing;
    request.n_step = n_step;
    request.gamma = gamma;
    request.seed = derived_seed(static_cast<std::uint64_t>(tables.prefixes[number]), 5);
    request.out.obs = obs.data();
    request.out.next_obs = next_obs.data();
    request.out.index = index.data();
    request.out.actions = actions.data();
    request.out.rewards = rewards.data();
    request.out.discounts = discounts.data();
    rings[static_cast<std::size_t>(number)].sample(request);
    for (std::int64_t i = 0; i < kPerRing; ++i) {
      const std::int64_t item = number * kPerRing + i;
      CHECK(tables.index[item] == number * kLanes * kRows + index[i]);
      CHECK(tables.actions[item] == actions[i]);
      CHECK(tables.rewards[item] == rewards[i]);
      CHECK(tables.discounts[item] == discounts[i]);
      CHECK(is_stack(&obs[i * kStack * kPixels], &tables.frames[item * kStack]));
      CHECK(is_stack(&next_obs[i * kStack * kPixels], &tables.next_frames[item * kStack]));
    }
  }
}

}  // namespace

TEST(draws_are_those_of_the_rings) {
  for (const int steps : {4, 9, 11, 12, 25, 60})
    for (const std::int64_t n_step : {1, 3, 20}) compare_with_the_rings(steps, n_step, 0.97);
  compare_with_the_rings(40, 5, 0.0);
}

TEST(the_kernel_draws_what_the_function_draws) {
  const std::vector<replay::ReplayRing> rings = make_rings(30);
  Tables by_function(rings), by_kernel(rings);
  draw_transitions(by_function.draw(3, 0.9));
  const TransitionDraw draw = by_kernel.draw(3, 0.9);
  cuda_on_host::launch(1, cuda::kDrawThreads, [&] { cuda::transition_kernel(draw); });
  CHECK(by_kernel.counter == by_function.counter);
  CHECK(by_kernel.index == by_function.index);
  CHECK(by_kernel.frames == by_function.frames);
  CHECK(by_kernel.next_frames == by_function.next_frames);
  CHECK(by_kernel.actions == by_function.actions);
  CHECK(by_kernel.rewards == by_function.rewards);
  CHECK(by_kernel.discounts == by_function.discounts);
}

TEST(every_valid_row_is_drawn_and_the_next_draw_differs) {
  const std::vector<replay::ReplayRing> rings = make_rings(30);
  Tables tables(rings);
  std::vector<bool> seen(kRings * kLanes * kRows, false);
  std::vector<std::int64_t> before;
  for (int round = 0; round < 5; ++round) {
    draw_transitions(tables.draw(1, 1.0));
    CHECK(before != tables.index);
    before = tables.index;
    for (const std::int64_t index : tables.index) seen[static_cast<std::size_t>(index)] = true;
  }
  std::int64_t valid = 0;
  for (const replay::ReplayRing& ring : rings) valid += ring.valid_rows();
  // 1000 draws from at most 22 rows: one stays out with a probability below 1e-18.
  CHECK(std::count(seen.begin(), seen.end(), true) == valid);
}

TEST(a_ring_without_a_valid_row_gives_no_frame) {
  const std::vector<replay::ReplayRing> rings = make_rings(0);  // the first one is empty
  Tables tables(rings);
  draw_transitions(tables.draw(1, 1.0));
  for (std::int64_t item = 0; item < kPerRing; ++item) {
    CHECK(tables.index[item] == -1);
    CHECK(tables.actions[item] == 0);
    CHECK(tables.rewards[item] == 0.0f && tables.discounts[item] == 0.0f);
    for (int frame = 0; frame < kStack; ++frame) {
      CHECK(tables.frames[item * kStack + frame] == kNoFrame);
      CHECK(tables.next_frames[item * kStack + frame] == kNoFrame);
    }
  }
}

TEST(outputs_may_be_left_out) {
  const std::vector<replay::ReplayRing> rings = make_rings(30);
  Tables tables(rings), whole(rings);
  TransitionDraw draw = tables.draw(1, 1.0);
  draw.next_frames = draw.actions = nullptr;
  draw.rewards = draw.discounts = nullptr;
  draw_transitions(draw);
  draw_transitions(whole.draw(1, 1.0));
  CHECK(tables.index == whole.index);
  CHECK(tables.frames == whole.frames);
  CHECK(tables.actions == std::vector<std::int64_t>(kBatch, -9));
}

TEST(bad_draws_are_refused) {
  const std::vector<replay::ReplayRing> rings = make_rings(12);
  Tables tables(rings);
  const auto refuses = [&](const std::function<void(TransitionDraw&)>& change) {
    TransitionDraw draw = tables.draw(1, 1.0);
    change(draw);
    CHECK_THROWS(draw.check(), std::invalid_argument);
  };
  tables.draw(1, 1.0).check();
  refuses([](TransitionDraw& d) { d.rings = 0; });
  refuses([](TransitionDraw& d) { d.lanes = 0; });
  refuses([](TransitionDraw& d) { d.rows_per_lane = kStack; });
  refuses([](TransitionDraw& d) { d.per_ring = 0; });
  refuses([](TransitionDraw& d) { d.n_step = 0; });
  refuses([](TransitionDraw& d) { d.gamma = 1.5; });
  refuses([](TransitionDraw& d) { d.queues = nullptr; });
  refuses([](TransitionDraw& d) { d.counter = nullptr; });
}
