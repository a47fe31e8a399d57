// A loop that appends and samples allocates nothing: every operator new of this program is counted.
#include <atomic>
#include <cstdlib>
#include <new>
#include <vector>

#include "check.hpp"
#include "replay/ring.hpp"

namespace {

std::atomic<int> allocations{0};

}  // namespace

void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

using namespace actormimic::replay;

TEST(the_counter_counts) {
  const int before = allocations;
  const std::vector<int> numbers(3);
  CHECK(allocations == before + 1);
}

TEST(appending_and_sampling_allocate_nothing) {
  constexpr std::int64_t kLanes = 4, kBatch = 32, kPixels = 64;
  RingShape shape;
  shape.lanes = kLanes;
  shape.rows_per_lane = 20;
  shape.frame_shape = {8, 8};
  shape.extras = {{"q", "<f4", {18}}};
  ReplayRing ring = ReplayRing::create(shape, {});

  const std::vector<std::uint8_t> frames(kLanes * kPixels, 7), terminals(kLanes, 0);
  const std::vector<std::int64_t> actions(kLanes, 1), lanes{2, 0};
  const std::vector<float> rewards(kLanes, 0.5f), q(kLanes * 18, 1.0f);
  AppendRows rows;
  rows.count = kLanes;
  rows.frames = frames.data();
  rows.frame_stride = kPixels;
  rows.actions = actions.data();
  rows.rewards = rewards.data();
  rows.terminals = terminals.data();
  rows.extras = {reinterpret_cast<const std::byte*>(q.data())};

  std::vector<std::byte> obs(kBatch * 4 * kPixels * 2), next_obs(obs.size());
  std::vector<std::byte> extras(kBatch * 18 * sizeof(float));
  std::vector<std::int64_t> index(kBatch);
  SampleRequest request;
  request.batch = kBatch;
  request.n_step = 3;
  request.out.obs = obs.data();
  request.out.next_obs = next_obs.data();
  request.out.index = index.data();
  request.out.extras = {extras.data()};

  const auto round = [&] {
    ring.append(rows);
    rows.lanes = lanes.data();
    rows.count = 2;
    ring.append(rows);
    rows.lanes = nullptr;
    rows.count = kLanes;
    for (const StackType type : {StackType::kUint8, StackType::kFloat16, StackType::kBfloat16})
      for (const bool channels_last : {false, true}) {
        request.format = {type, channels_last};
        request.lanes = channels_last ? lanes.data() : nullptr;
        request.lane_count = channels_last ? 2 : 0;
        ++request.seed;
        ring.sample(request);
      }
  };
  for (int warm_up = 0; warm_up < 3; ++warm_up) round();
  const int before = allocations;
  for (int i = 0; i < 100; ++i) round();
  CHECK(allocations == before);
}
