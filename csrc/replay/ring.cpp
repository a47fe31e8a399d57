#include "replay/ring.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "common/check.hpp"
#include "replay/lane_claims.hpp"
#include "replay/process.hpp"
#include "replay/row_copy.hpp"

namespace actormimic::replay {

ReplayRing::ReplayRing(Mapping mapping, RingShape shape, Location location)
    : mapping_(std::move(mapping)),
      shape_(std::move(shape)),
      location_(std::move(location)),
      frame_bytes_(shape_.frame_bytes()) {
  std::byte* data = mapping_.data();
  const auto& header = *reinterpret_cast<const RingHeader*>(data);
  lanes_ = reinterpret_cast<LaneControl*>(data + header.lanes_offset);
  rows_ = reinterpret_cast<std::atomic<std::uint64_t>*>(data + header.rows_offset);
  queues_ = reinterpret_cast<std::atomic<std::uint64_t>*>(data + header.queues_offset);
  frames_ = data + header.frames_offset;
  for (std::uint32_t i = 0; i < header.extra_count; ++i)
    extras_.push_back({data + header.extras[i].offset, header.extras[i].row_bytes});
}

ReplayRing ReplayRing::create(const RingShape& shape, const Location& location) {
  check_shape(shape);
  RingHeader layout{};
  describe(shape, layout);
  Mapping mapping = Mapping::create(location, layout.total_bytes);
  auto& header = *reinterpret_cast<RingHeader*>(mapping.data());
  constexpr std::size_t skipped = offsetof(RingHeader, version);
  std::memcpy(mapping.data() + skipped, reinterpret_cast<const std::byte*>(&layout) + skipped,
              sizeof(RingHeader) - skipped);
  header.magic.store(kMagic, std::memory_order_release);
  return ReplayRing(std::move(mapping), shape, location);
}

ReplayRing ReplayRing::attach(const Location& location) {
  Mapping mapping = Mapping::attach(location);
  const std::string label = location.label();
  ensure(mapping.size() >= sizeof(RingHeader), label, " has ", mapping.size(),
         " bytes, fewer than a header: unfinished, or no ring");
  const auto& header = *reinterpret_cast<const RingHeader*>(mapping.data());
  const std::uint64_t magic = header.magic.load(std::memory_order_acquire);
  ensure(magic != 0, label, " is unfinished: it is being made, or its maker died");
  ensure(magic == kMagic, label, " is no replay ring");
  ensure(header.version == kLayoutVersion, label, " has layout version ", header.version,
         "; this program reads ", kLayoutVersion);
  ensure(header.checksum == header_checksum(header), label, " has a damaged header");
  ensure(header.total_bytes == mapping.size(), label, " has ", mapping.size(), " bytes instead of ",
         header.total_bytes, ": truncated");
  RingShape shape = shape_of(header);
  // Another program may have written a header whose checksum holds and whose offsets lie anywhere.
  ensure(is_described_by(header, shape), label, " has a header that fits no ring");
  return ReplayRing(std::move(mapping), std::move(shape), location);
}

RowMeta ReplayRing::meta(std::int64_t lane, std::uint64_t row) const {
  // Acquire: whoever sees kValid sees the successor that it speaks of.
  const std::uint64_t bits = rows_[element(lane, row)].load(std::memory_order_acquire);
  RowMeta meta;
  std::memcpy(&meta, &bits, sizeof meta);
  return meta;
}

void ReplayRing::set_meta(std::int64_t lane, std::uint64_t row, const RowMeta& meta,
                          std::memory_order order) {
  std::uint64_t bits;
  std::memcpy(&bits, &meta, sizeof bits);
  rows_[element(lane, row)].store(bits, order);
}

void ReplayRing::append(const AppendRows& rows) {
  if (rows.lanes == nullptr)
    require(rows.count == shape_.lanes, "append got ", rows.count, " rows for ", shape_.lanes,
            " lanes; name the lanes to append to some only");
  else
    check_lanes(rows.lanes, rows.count, shape_.lanes);
  require(rows.count == 0 || (rows.frames != nullptr && rows.actions != nullptr &&
                              rows.rewards != nullptr && rows.terminals != nullptr),
          "append got no frames, actions, rewards or terminals");
  for (std::size_t e = 0; e < extras_.size(); ++e)
    require(rows.extras[e] != nullptr, "append got no rows for extra '", shape_.extras[e].name,
            "'");
  for (std::int64_t i = 0; i < rows.count; ++i) {
    require(-1 <= rows.actions[i] && rows.actions[i] <= std::numeric_limits<std::int16_t>::max(),
            "actions[", i, "] is ", rows.actions[i], "; allowed: -1 to 32767");
    require(std::isfinite(rows.rewards[i]), "rewards[", i, "] is ", rows.rewards[i],
            "; allowed: finite numbers");
  }
  const LaneClaims claims(lanes_, rows.lanes, rows.count);
  const auto lane = [&](std::int64_t i) { return rows.lanes == nullptr ? i : rows.lanes[i]; };
  for (std::int64_t i = 0; i < rows.count; ++i) begin_row(lane(i));
  // A streaming store may become visible before an ordinary store that precedes it, and a release
  // fence alone does not stop it on x86: a reader would miss that its copy was overtaken.
  std::atomic_thread_fence(std::memory_order_release);
  flush_stores();
  for (std::int64_t i = 0; i < rows.count; ++i) write_row(lane(i), i, rows);
  flush_stores();
  for (std::int64_t i = 0; i < rows.count; ++i) commit_row(lane(i));
}

bool ReplayRing::starts_by_default(std::int64_t lane, std::uint64_t row) const {
  const RowMeta previous = meta(lane, row - 1);
  return (previous.flags & kTerminal) != 0 || previous.action < 0;
}

// Steps 1 and 2 of ring_layout.hpp, but for the fence.
void ReplayRing::begin_row(std::int64_t lane) {
  LaneControl& control = lanes_[lane];
  const std::uint64_t row = control.committed.load(std::memory_order_relaxed);
  // A writer that was killed after its commit left its row unsettled.
  if (control.settled.load(std::memory_order_relaxed) != row) settle(lane, row);
  expire(lane, row);
  control.begun.store(row + 1, std::memory_order_relaxed);
}

// Step 3.
void ReplayRing::write_row(std::int64_t lane, std::int64_t i, const AppendRows& rows) {
  const std::uint64_t row = lanes_[lane].committed.load(std::memory_order_relaxed);
  const std::uint64_t at = element(lane, row);
  streaming_copy(frames_ + at * frame_bytes_, rows.frames + i * rows.frame_stride, frame_bytes_);
  for (std::size_t e = 0; e < extras_.size(); ++e) {
    const std::uint64_t bytes = extras_[e].row_bytes;
    streaming_copy(extras_[e].rows + at * bytes, rows.extras[e] + i * bytes, bytes);
  }
  const bool start =
      row == 0 || (rows.starts != nullptr ? rows.starts[i] != 0 : starts_by_default(lane, row));
  RowMeta fresh{};
  fresh.reward = rows.rewards[i];
  fresh.action = static_cast<std::int16_t>(rows.actions[i]);
  fresh.flags =
      static_cast<std::uint8_t>((start ? kStart : 0) | (rows.terminals[i] != 0 ? kTerminal : 0));
  fresh.depth = start ? 0
                      : static_cast<std::uint8_t>(std::min<std::uint32_t>(
                            meta(lane, row - 1).depth + 1u, shape_.stack - 1));
  set_meta(lane, row, fresh, std::memory_order_relaxed);
}

// Steps 4 to 6.
void ReplayRing::commit_row(std::int64_t lane) {
  LaneControl& control = lanes_[lane];
  const std::uint64_t rows = control.begun.load(std::memory_order_relaxed);
  control.committed.store(rows, std::memory_order_release);
  settle(lane, rows);
}

// Drops from the queue the rows whose stack needs the frame that `row` will overwrite.
void ReplayRing::expire(std::int64_t lane, std::uint64_t row) {
  if (row < shape_.rows_per_lane) return;
  LaneControl& control = lanes_[lane];
  const std::uint64_t lost = row - shape_.rows_per_lane;
  const std::uint64_t head = control.valid_head.load(std::memory_order_relaxed);
  std::uint64_t tail = control.valid_tail.load(std::memory_order_relaxed);
  const std::uint64_t before = tail;
  while (tail < head) {
    const std::uint64_t oldest = queues_[element(lane, tail)].load(std::memory_order_relaxed);
    if (oldest - meta(lane, oldest).depth > lost) break;
    ++tail;
  }
  if (tail != before) control.valid_tail.store(tail, std::memory_order_release);
}

// Queues the rows that become valid once `rows` rows are committed: the one before the last, which
// has its successor now, and the last one if it is terminal. Doing it twice changes nothing.
void ReplayRing::settle(std::int64_t lane, std::uint64_t rows) {
  LaneControl& control = lanes_[lane];
  const auto enqueue = [&](std::uint64_t row, RowMeta meta) {
    std::uint64_t head = control.valid_head.load(std::memory_order_relaxed);
    if (head > 0 && queues_[element(lane, head - 1)].load(std::memory_order_relaxed) >= row) return;
    meta.flags |= kValid;
    set_meta(lane, row, meta, std::memory_order_release);
    // Released itself: a reader may find it in a slot that it knew of before this entry was there.
    queues_[element(lane, head)].store(row, std::memory_order_release);
    control.valid_head.store(head + 1, std::memory_order_release);
  };
  const RowMeta last = meta(lane, rows - 1);
  if (rows > 1 && (last.flags & kStart) == 0) {
    const RowMeta previous = meta(lane, rows - 2);
    if (previous.action >= 0) enqueue(rows - 2, previous);
  }
  if (last.action >= 0 && (last.flags & kTerminal) != 0) enqueue(rows - 1, last);
  control.settled.store(rows, std::memory_order_relaxed);
}

std::int64_t ReplayRing::valid_rows(std::int64_t lane) const {
  require_index("lane", lane, shape_.lanes);
  const LaneControl& control = lanes_[lane];
  const std::uint64_t tail = control.valid_tail.load(std::memory_order_acquire);
  return static_cast<std::int64_t>(control.valid_head.load(std::memory_order_acquire) - tail);
}

std::int64_t ReplayRing::valid_rows() const {
  std::int64_t sum = 0;
  for (std::uint32_t lane = 0; lane < shape_.lanes; ++lane) sum += valid_rows(lane);
  return sum;
}

std::uint64_t ReplayRing::rows_written(std::int64_t lane) const {
  require_index("lane", lane, shape_.lanes);
  return lanes_[lane].committed.load(std::memory_order_acquire);
}

LaneReport ReplayRing::report(std::int64_t lane) const {
  LaneReport report{};
  report.rows_written = rows_written(lane);
  report.rows_held = std::min(report.rows_written, shape_.rows_per_lane);
  report.valid = static_cast<std::uint64_t>(valid_rows(lane));
  const std::uint64_t writer = lanes_[lane].writer.load(std::memory_order_relaxed);
  report.writer = is_running(writer) ? process_number(writer) : 0;
  for (std::uint64_t row = report.rows_written - report.rows_held; row < report.rows_written;
       ++row) {
    const RowMeta held = meta(lane, row);
    report.starts += (held.flags & kStart) != 0;
    report.terminals += (held.flags & kTerminal) != 0;
    report.reward_sum += held.reward;
  }
  return report;
}

}  // namespace actormimic::replay
