// Steps two pongs through the pool, stores their newest frames in a replay ring and prints a
// checksum of one. Exits with 1 where that frame is not what pong looks like.
#include <actormimic/pool/pool.hpp>
#include <actormimic/replay/ring.hpp>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <vector>

#include "common/check.hpp"

constexpr int kSide = 84, kFrame = kSide * kSide;

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: embed PONG.BIN\n");
    return 2;
  }
  using namespace actormimic;
  PoolSettings settings;
  settings.games = {{"pong", argv[1], -1, -1}, {"pong", argv[1], -1, -1}};
  Pool pool(settings);

  const std::size_t rows = static_cast<std::size_t>(pool.batch_size());
  std::vector<std::uint8_t> obs(rows * pool.obs_bytes());
  std::vector<std::int32_t> rewards(rows), ids(rows), lives(rows), frames(rows), episode(rows);
  const auto ends = std::make_unique<bool[]>(rows * 2);
  Batch batch;
  batch.first.obs = obs.data();
  batch.first.reward = rewards.data();
  batch.first.terminated = ends.get();
  batch.first.truncated = ends.get() + rows;
  batch.first.env_id = ids.data();
  batch.first.lives = lives.data();
  batch.first.frame_number = frames.data();
  batch.first.episode_frame_number = episode.data();
  batch.obs_bytes = pool.obs_bytes();

  replay::RingShape shape;
  shape.lanes = 2;
  shape.rows_per_lane = 200;
  replay::ReplayRing ring = replay::ReplayRing::create(shape, {});

  const int envs[] = {0, 1}, seeds[] = {1, 2};
  pool.reset(envs, seeds, rows, &batch, 1);
  const std::int64_t actions[] = {2, 3};
  for (int step = 0; step <= 100; ++step) {
    while (!pool.recv(std::chrono::seconds(1), batch)) {
    }
    if (step == 100) break;
    const std::uint8_t terminals[] = {0, 0};
    const float no_rewards[] = {0, 0};
    replay::AppendRows append;
    append.count = 2;
    append.frames = obs.data() + pool.obs_bytes() - kFrame;
    append.frame_stride = static_cast<std::int64_t>(pool.obs_bytes());
    append.actions = actions;
    append.rewards = no_rewards;
    append.terminals = terminals;
    ring.append(append);
    pool.send(actions, nullptr, rows, &batch, 1);
  }

  const std::uint8_t* newest = obs.data() + pool.obs_bytes() - kFrame;
  const auto [darkest, brightest] = std::minmax_element(newest, newest + kFrame);
  unsigned checksum = 0;
  for (int i = 0; i < kFrame; ++i) checksum = checksum * 31 + newest[i];
  std::printf("frame %d, grays %d to %d, checksum %08x\n", frames[0], *darkest, *brightest,
              checksum);
  const bool stored = ring.valid_rows() == 2 * 99;  // the newest row of a lane has no successor yet
  return looks_like_pong(newest, kSide, kSide) && episode[0] >= 400 && stored ? 0 : 1;
}
