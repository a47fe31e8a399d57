// Sampling: draws from the queues of valid rows, and the gathering of their stacks.
#include <algorithm>
#include <cstring>

#include "common/check.hpp"
#include "common/random.hpp"
#include "replay/ring.hpp"
#include "replay/row_copy.hpp"

namespace actormimic::replay {

// One draw: an entry of a lane's queue, then the row it names.
struct ReplayRing::Draw {
  std::int64_t lane;
  std::uint64_t entry;
  std::uint64_t row;
};

// The queues of the lanes asked for, end to end.
struct ReplayRing::Snapshot {
  std::vector<std::int64_t> lanes;
  std::vector<std::uint64_t> tails;
  std::vector<std::uint64_t> ends;  // running sum of the lengths

  void reserve(std::size_t count) {
    lanes.reserve(count);
    tails.reserve(count);
    ends.reserve(count);
  }

  Draw at(std::uint64_t position) const {
    const auto i = static_cast<std::size_t>(std::upper_bound(ends.begin(), ends.end(), position) -
                                            ends.begin());
    const std::uint64_t begin = i == 0 ? 0 : ends[i - 1];
    return {lanes[i], tails[i] + (position - begin), 0};
  }
};

void ReplayRing::take_snapshot(const SampleRequest& request, Snapshot& snapshot) const {
  const bool all = request.lanes == nullptr;
  const std::size_t count = all ? shape_.lanes : static_cast<std::size_t>(request.lane_count);
  snapshot.lanes.resize(count);
  snapshot.tails.resize(count);
  snapshot.ends.resize(count);
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t lane = all ? static_cast<std::int64_t>(i) : request.lanes[i];
    const LaneControl& control = lanes_[lane];
    // The tail first: a head loaded later is never behind it.
    snapshot.lanes[i] = lane;
    snapshot.tails[i] = control.valid_tail.load(std::memory_order_acquire);
    sum += control.valid_head.load(std::memory_order_acquire) - snapshot.tails[i];
    snapshot.ends[i] = sum;
  }
  if (sum == 0)
    require(false, "nothing to sample: ", location_.label(), " holds no valid row",
            all ? "" : " in the lanes asked for");
}

void ReplayRing::sample(const SampleRequest& request) const {
  require_range<std::int64_t>("batch", request.batch, 1, std::int64_t{1} << 24);
  require_range<std::int64_t>("n_step", request.n_step, 1, std::int64_t{1} << 31);
  require(request.gamma >= 0.0 && request.gamma <= 1.0, "gamma is ", request.gamma,
          "; allowed: 0 to 1");
  if (request.lanes != nullptr) check_lanes(request.lanes, request.lane_count, shape_.lanes);

  // Kept by each thread, so that a loop that samples allocates nothing.
  static thread_local Snapshot snapshot;
  static thread_local Snapshot fresh;
  static thread_local std::vector<Draw> draws;
  take_snapshot(request, snapshot);
  fresh.reserve(snapshot.lanes.size());
  const auto batch = static_cast<std::size_t>(request.batch);
  draws.resize(batch);
  // Queue entry and row each miss every cache; looking for those of all draws first lets the misses
  // overlap. The frames are asked for while those before them are copied.
  for (std::size_t i = 0; i < batch; ++i) {
    draws[i] = snapshot.at(bounded(random_bits(request.seed, i, 0), snapshot.ends.back()));
    __builtin_prefetch(&queues_[element(draws[i].lane, draws[i].entry)]);
  }
  const auto look_up = [this](Draw& draw) {
    draw.row = queues_[element(draw.lane, draw.entry)].load(std::memory_order_acquire);
  };
  for (Draw& draw : draws) {
    look_up(draw);
    __builtin_prefetch(&rows_[element(draw.lane, draw.row)]);
  }
  constexpr std::uint64_t kMaxAttempts = 1000;
  for (std::size_t i = 0; i < batch; ++i) {
    const std::byte* following = oldest_frame(draws[std::min(i + 1, batch - 1)]);
    Draw draw = draws[i];
    for (std::uint64_t attempt = 1; !gather(draw, static_cast<std::int64_t>(i), request, following);
         ++attempt) {
      if (attempt == kMaxAttempts)  // asked first: the text would be allocated
        ensure(false, "writers overtook ", kMaxAttempts, " draws in a row: ", location_.label(),
               " is too small for their pace");
      take_snapshot(request, fresh);
      draw = fresh.at(bounded(random_bits(request.seed, i, attempt), fresh.ends.back()));
      look_up(draw);
    }
  }
  flush_stores();
}

const std::byte* ReplayRing::frame(std::int64_t lane, std::uint64_t row) const {
  return frames_ + element(lane, row) * frame_bytes_;
}

std::uint32_t ReplayRing::depth_of(const RowMeta& row) const {
  return std::min<std::uint32_t>(row.depth, shape_.stack - 1);
}

const std::byte* ReplayRing::oldest_frame(const Draw& draw) const {
  return frame(draw.lane, draw.row - depth_of(meta(draw.lane, draw.row)));
}

// Writes row i of the batch, while the memory is asked for the frames at `following`, which will be
// read next. False if a writer overtook the copy, which is then worthless.
bool ReplayRing::gather(const Draw& draw, std::int64_t i, const SampleRequest& request,
                        const std::byte* following) const {
  const SampleFields& out = request.out;
  const std::int64_t lane = draw.lane;
  const RowMeta first = meta(lane, draw.row);

  // The n-step window: it ends at a terminal, after n rewards, or where the history does.
  double value = 0.0;
  double discount = 1.0;
  bool terminal = false;
  std::uint64_t end = draw.row;
  for (RowMeta step = first;;) {
    value += discount * step.reward;
    discount *= request.gamma;
    ++end;
    terminal = (step.flags & kTerminal) != 0;
    if (terminal || end - draw.row == static_cast<std::uint64_t>(request.n_step)) break;
    step = meta(lane, end);
    if ((step.flags & kValid) == 0) break;
  }

  const std::uint32_t depth = depth_of(first);
  const std::size_t stack_bytes = shape_.stack * frame_bytes_ * request.format.element_bytes();
  const std::size_t offset = static_cast<std::size_t>(i) * stack_bytes;
  const bool bootstraps = out.next_obs != nullptr && !terminal;
  const std::uint32_t next_depth = bootstraps ? depth_of(meta(lane, end)) : 0;
  if (out.obs != nullptr)
    // The next stack's frames up to row `draw.row` are near already.
    write_stack(out.obs + offset, request, lane, draw.row, depth,
                bootstraps ? frame(lane, std::max(end - next_depth, draw.row + 1)) : following);
  if (bootstraps)
    write_stack(out.next_obs + offset, request, lane, end, next_depth, following);
  else if (out.next_obs != nullptr)
    std::memset(out.next_obs + offset, 0, stack_bytes);
  const std::uint64_t at = element(lane, draw.row);
  for (std::size_t e = 0; e < extras_.size(); ++e) {
    const std::uint64_t bytes = extras_[e].row_bytes;
    if (out.extras[e] != nullptr)
      racing_copy(out.extras[e] + static_cast<std::size_t>(i) * bytes, extras_[e].rows + at * bytes,
                  bytes);
  }
  if (out.actions != nullptr) out.actions[i] = first.action;
  if (out.rewards != nullptr) out.rewards[i] = static_cast<float>(value);
  if (out.discounts != nullptr) out.discounts[i] = terminal ? 0.0f : static_cast<float>(discount);
  if (out.terminals != nullptr) out.terminals[i] = terminal;
  if (out.index != nullptr) out.index[i] = static_cast<std::int64_t>(at);

  std::atomic_thread_fence(std::memory_order_acquire);
  const std::uint64_t begun = lanes_[lane].begun.load(std::memory_order_relaxed);
  return draw.row - depth + shape_.rows_per_lane >= begun;
}

// Copies the frames row - depth to row, oldest first, behind zeros that fill the stack.
template <bool kStream>
void ReplayRing::copy_stack(std::byte* out, std::int64_t lane, std::uint64_t row,
                            std::uint32_t depth, const std::byte* following) const {
  const std::size_t zeros = (shape_.stack - 1 - depth) * frame_bytes_;
  std::memset(out, 0, zeros);
  out += zeros;
  const std::uint64_t rows = shape_.rows_per_lane;
  const std::uint64_t until_wrap = std::min<std::uint64_t>(depth + 1u, rows - (row - depth) % rows);
  const std::byte* oldest = frame(lane, row - depth);
  const std::byte* lane_frames = frame(lane, 0);
  const bool wraps = until_wrap <= depth;
  // Far enough for the memory's answer to be there in time, near enough not to be evicted again;
  // and no more than one frame, for often no more is read from `following` on.
  const std::size_t distance = std::min<std::size_t>(frame_bytes_, 8192);
  racing_stack_copy<kStream>(out, oldest, until_wrap * frame_bytes_,
                             {distance, wraps ? lane_frames : following});
  if (wraps)
    racing_stack_copy<kStream>(out + until_wrap * frame_bytes_, lane_frames,
                               (depth + 1 - until_wrap) * frame_bytes_, {distance, following});
}

void ReplayRing::write_stack(std::byte* out, const SampleRequest& request, std::int64_t lane,
                             std::uint64_t row, std::uint32_t depth,
                             const std::byte* following) const {
  const StackFormat& format = request.format;
  if (format.type == StackType::kUint8 && !format.channels_last) {
    copy_stack<true>(out, lane, row, depth, following);
    return;
  }
  static thread_local std::vector<std::byte> stored;
  const std::size_t stack_bytes = shape_.stack * frame_bytes_;
  stored.resize(stack_bytes);
  copy_stack<false>(stored.data(), lane, row, depth, following);
  // A batch that the second-level cache holds is read from there next; a larger one only evicts.
  constexpr std::size_t kNearCache = 1u << 20;
  const bool stream = static_cast<std::size_t>(request.batch) * stack_bytes > kNearCache;
  format_stack(reinterpret_cast<const std::uint8_t*>(stored.data()), shape_.stack, frame_bytes_,
               format, stream, out);
}

}  // namespace actormimic::replay
