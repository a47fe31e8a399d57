// Which transitions a batch consists of, drawn from the bookkeeping of replay rings that lies where
// the batch is gathered, so that an update on a device needs nothing from the host.
//
// The tables are those of csrc/replay/ring_layout.hpp, ring after ring, and what is drawn is what
// ReplayRing::sample would draw from the same content with the same seed.
#pragma once

#include <cstdint>

#include "common/random.hpp"
#include "ops/element.hpp"
#include "ops/frame_gather.hpp"

namespace actormimic::ops {

// Draws `per_ring` transitions from each ring, uniformly over its valid rows and with replacement.
// All memory is the caller's and is not kept. B = rings * per_ring, R = lanes * rows_per_lane.
struct TransitionDraw {
  const std::int64_t* rows = nullptr;     // [rings, R], a RowMeta each
  const std::int64_t* queues = nullptr;   // [rings, R], row numbers of a lane's valid rows
  const std::int64_t* cursors = nullptr;  // [rings, lanes, 2], valid_tail and valid_head
  std::int64_t rings = 0;
  std::int64_t lanes = 0;
  std::int64_t rows_per_lane = 0;  // more than the stack, as in every ring
  std::int64_t per_ring = 0;
  std::int64_t n_step = 1;
  double gamma = 1.0;
  const std::int64_t* prefixes = nullptr;  // [rings], see derived_seed
  std::uint64_t* counter = nullptr;        // [1], this draw's number; 1 is added

  // What is written; a null pointer leaves it out. A ring without a valid row gives -1 and zeros.
  std::int64_t* index = nullptr;        // [B], elements of all rings' sections end to end
  std::int64_t* frames = nullptr;       // [B, 4], those of the state's frames, or kNoFrame
  std::int64_t* next_frames = nullptr;  // [B, 4], the same of the state to bootstrap from
  std::int64_t* actions = nullptr;      // [B]
  float* rewards = nullptr;             // [B], n-step returns
  float* discounts = nullptr;           // [B], gamma^k, or 0 after a terminal

  // Throws std::invalid_argument on sizes and numbers that are not as above.
  void check() const;
};

// On the calling thread; allocates nothing.
void draw_transitions(const TransitionDraw& draw);

// What the CPU and CUDA share.

struct RowFacts {
  float reward;
  std::int64_t action;
  bool terminal, valid;
  int depth;
};

// Unpacks a RowMeta; the numbers of its flags are those of RowFlags.
ACTORMIMIC_ROW_MATH RowFacts row_facts(std::int64_t meta) {
  const std::uint64_t bits = static_cast<std::uint64_t>(meta);
  const unsigned flags = static_cast<unsigned>(bits >> 48) & 0xffu;
  const int depth = static_cast<int>(bits >> 56);
  return {bits_as<float>(static_cast<std::uint32_t>(bits)),
          static_cast<std::int16_t>(static_cast<std::uint16_t>(bits >> 32)), (flags & 2u) != 0,
          (flags & 4u) != 0, depth < kStack ? depth : kStack - 1};
}

// The elements of the frames row - depth to row of the lane that begins at element `lane_first`.
ACTORMIMIC_ROW_MATH void store_stack(std::int64_t lane_first, std::int64_t rows_per_lane,
                                     std::int64_t row, int depth, std::int64_t* to) {
  for (int frame = 0; frame < kStack; ++frame) {
    const int back = kStack - 1 - frame;
    to[frame] = back <= depth ? lane_first + (row - back) % rows_per_lane : kNoFrame;
  }
}

// value + factor * addend in two roundings, as the ring computes it. nvcc would contract them to
// one, and the returns that a device draws would differ from the ring's in their last bits.
ACTORMIMIC_ROW_MATH double plus_product(double value, double factor, double addend) {
#ifdef __CUDA_ARCH__
  return __dadd_rn(value, __dmul_rn(factor, addend));
#else
  return value + factor * addend;
#endif
}

// Draws item `item` of [0, B).
ACTORMIMIC_ROW_MATH void draw_transition(const TransitionDraw& draw, std::uint64_t counter,
                                         std::int64_t item) {
  const std::int64_t ring = item / draw.per_ring;
  const std::int64_t* cursors = draw.cursors + 2 * ring * draw.lanes;
  std::uint64_t valid = 0;
  for (std::int64_t lane = 0; lane < draw.lanes; ++lane)
    valid += static_cast<std::uint64_t>(cursors[2 * lane + 1] - cursors[2 * lane]);

  std::int64_t first = 0, row = -1, end = -1;
  RowFacts facts{};
  double value = 0.0, discount = 0.0;
  bool terminal = true;
  if (valid > 0) {
    const std::uint64_t seed =
        derived_seed(static_cast<std::uint64_t>(draw.prefixes[ring]), counter);
    const auto number = static_cast<std::uint64_t>(item - ring * draw.per_ring);
    auto position = static_cast<std::int64_t>(bounded(random_bits(seed, number, 0), valid));
    std::int64_t lane = 0;
    while (position >= cursors[2 * lane + 1] - cursors[2 * lane]) {
      position -= cursors[2 * lane + 1] - cursors[2 * lane];
      ++lane;
    }
    first = (ring * draw.lanes + lane) * draw.rows_per_lane;
    row = draw.queues[first + (cursors[2 * lane] + position) % draw.rows_per_lane];
    facts = row_facts(draw.rows[first + row % draw.rows_per_lane]);

    // The n-step window: it ends at a terminal, after n rewards, or where the history does.
    discount = 1.0;
    end = row;
    for (RowFacts step = facts;;) {
      value = plus_product(value, discount, static_cast<double>(step.reward));
      discount *= draw.gamma;
      ++end;
      terminal = step.terminal;
      if (terminal || end - row == draw.n_step) break;
      step = row_facts(draw.rows[first + end % draw.rows_per_lane]);
      if (!step.valid) break;
    }
  }
  if (draw.index) draw.index[item] = valid > 0 ? first + row % draw.rows_per_lane : -1;
  if (draw.frames)
    store_stack(first, draw.rows_per_lane, row, valid > 0 ? facts.depth : -1,
                draw.frames + kStack * item);
  if (draw.next_frames) {
    int depth = -1;
    if (!terminal) depth = row_facts(draw.rows[first + end % draw.rows_per_lane]).depth;
    store_stack(first, draw.rows_per_lane, end, depth, draw.next_frames + kStack * item);
  }
  if (draw.actions) draw.actions[item] = facts.action;
  if (draw.rewards) draw.rewards[item] = static_cast<float>(value);
  if (draw.discounts) draw.discounts[item] = terminal ? 0.0f : static_cast<float>(discount);
}

}  // namespace actormimic::ops
