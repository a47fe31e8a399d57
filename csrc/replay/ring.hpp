// The replay ring: each frame is stored once, stacks are rebuilt when sampled. Shared by processes
// and safe against the death of any of them; ring_layout.hpp explains how.
//
// Threads and processes: any number may sample at once; each lane is appended to by one thread at
// a time, and different lanes by different threads or processes at once. No call waits for
// another. `save` and `load` need the writers to pause and `load` the readers too.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "mapping.hpp"
#include "ring_layout.hpp"
#include "ring_shape.hpp"
#include "stack_format.hpp"

namespace actormimic::replay {

// Rows to append, one for each of `count` lanes; every array is read before append returns.
struct AppendRows {
  std::int64_t count = 0;
  const std::int64_t* lanes = nullptr;  // [count], distinct; null for the lanes 0 to count - 1
  const std::uint8_t* frames = nullptr;
  std::int64_t frame_stride = 0;            // bytes from one row's frame to the next one's
  const std::int64_t* actions = nullptr;    // [count], -1 to 32767
  const float* rewards = nullptr;           // [count], finite
  const std::uint8_t* terminals = nullptr;  // [count]
  const std::uint8_t* starts = nullptr;     // [count], or null for the default
  // [count][row_bytes] each, in the ring's order; all that the ring has.
  std::array<const std::byte*, kMaxExtras> extras{};
};

// Where a sample is written; a null pointer leaves the field out. B is the batch, S the stack.
struct SampleFields {
  std::byte* obs = nullptr;           // [B][S][frame] in the format asked for
  std::byte* next_obs = nullptr;      // the same of the state that the return is bootstrapped at
  std::int64_t* actions = nullptr;    // [B]
  float* rewards = nullptr;           // [B] n-step returns
  float* discounts = nullptr;         // [B] gamma^k, or 0 after a terminal
  std::uint8_t* terminals = nullptr;  // [B]
  std::int64_t* index = nullptr;      // [B] slots in [0, capacity)
  std::array<std::byte*, kMaxExtras> extras{};  // [B][row_bytes] each, in the ring's order
};

struct SampleRequest {
  std::int64_t batch = 0;
  const std::int64_t* lanes = nullptr;  // [lane_count], distinct; null for all
  std::int64_t lane_count = 0;
  std::int64_t n_step = 1;  // at least 1
  double gamma = 1.0;       // 0 to 1
  std::uint64_t seed = 0;
  StackFormat format;
  SampleFields out;
};

// What a lane holds at the moment.
struct LaneReport {
  std::uint64_t rows_written;  // ever
  std::uint64_t rows_held;
  std::uint64_t valid;
  std::uint64_t starts;  // of those held
  std::uint64_t terminals;
  double reward_sum;
  int writer;  // the process appending at this moment, or 0
};

class ReplayRing {
 public:
  // Makes an empty ring. Throws std::invalid_argument on a shape that cannot be and what
  // Mapping::create throws.
  static ReplayRing create(const RingShape& shape, const Location& location);

  // Joins a ring that exists. Throws what Mapping::attach throws and std::runtime_error, in one
  // line, if it is unfinished, of another version, damaged or truncated.
  static ReplayRing attach(const Location& location);

  // Appends one row to each lane named. Everything is checked before anything is written:
  // std::invalid_argument or std::out_of_range leave the ring as it was. std::runtime_error if
  // another live thread or process is appending to one of the lanes.
  void append(const AppendRows& rows);

  // Draws `batch` rows uniformly from the valid rows of the lanes asked for and writes the fields
  // asked for. Allocates nothing from a thread's second call of the same size on the same ring on.
  // The same request on the same content gives the same rows. std::invalid_argument if there is no
  // valid row; std::runtime_error if writers overtake every one of many attempts.
  void sample(const SampleRequest& request) const;

  // Writes the content and the cursors to a file, by way of a temporary one beside it that is
  // renamed when complete. Throws std::system_error, or std::runtime_error if a lane was appended
  // to in the meantime.
  void save(const std::string& path, bool compress) const;

  // Makes content and cursors equal to those saved. A file that is truncated, damaged in its
  // headers or index, or of another shape throws std::runtime_error or std::invalid_argument and
  // leaves the ring as it was. What is seen only while the content streams in (damage, a file that
  // can no longer be read) throws std::runtime_error, says so, and leaves the ring empty. A process
  // that is killed meanwhile leaves a ring that has to be loaded again.
  void load(const std::string& path);

  std::int64_t valid_rows() const;
  std::int64_t valid_rows(std::int64_t lane) const;
  std::uint64_t rows_written(std::int64_t lane) const;
  LaneReport report(std::int64_t lane) const;

  const RingShape& shape() const { return shape_; }
  const Location& location() const { return location_; }
  std::int64_t capacity() const {
    return static_cast<std::int64_t>(shape_.lanes * shape_.rows_per_lane);
  }
  std::uint64_t extra_bytes(std::size_t extra) const { return extras_[extra].row_bytes; }
  std::size_t bytes() const { return mapping_.size(); }
  const std::byte* data() const { return mapping_.data(); }

 private:
  struct Extra {
    std::byte* rows;
    std::uint64_t row_bytes;
  };
  struct Draw;
  struct Snapshot;

  ReplayRing(Mapping mapping, RingShape shape, Location location);

  std::uint64_t element(std::int64_t lane, std::uint64_t row) const {
    return static_cast<std::uint64_t>(lane) * shape_.rows_per_lane + row % shape_.rows_per_lane;
  }
  RowMeta meta(std::int64_t lane, std::uint64_t row) const;
  void set_meta(std::int64_t lane, std::uint64_t row, const RowMeta& meta, std::memory_order order);
  bool starts_by_default(std::int64_t lane, std::uint64_t row) const;
  void settle(std::int64_t lane, std::uint64_t row);
  void expire(std::int64_t lane, std::uint64_t row);
  void begin_row(std::int64_t lane);
  void write_row(std::int64_t lane, std::int64_t i, const AppendRows& rows);
  void commit_row(std::int64_t lane);
  void take_snapshot(const SampleRequest& request, Snapshot& snapshot) const;
  const std::byte* frame(std::int64_t lane, std::uint64_t row) const;
  std::uint32_t depth_of(const RowMeta& row) const;
  const std::byte* oldest_frame(const Draw& draw) const;
  bool gather(const Draw& draw, std::int64_t i, const SampleRequest& request,
              const std::byte* following) const;
  template <bool kStream>
  void copy_stack(std::byte* out, std::int64_t lane, std::uint64_t row, std::uint32_t depth,
                  const std::byte* following) const;
  void write_stack(std::byte* out, const SampleRequest& request, std::int64_t lane,
                   std::uint64_t row, std::uint32_t depth, const std::byte* following) const;

  Mapping mapping_;
  RingShape shape_;
  Location location_;
  std::uint64_t frame_bytes_;
  LaneControl* lanes_;
  std::atomic<std::uint64_t>* rows_;  // RowMeta each
  std::atomic<std::uint64_t>* queues_;
  std::byte* frames_;
  std::vector<Extra> extras_;
};

}  // namespace actormimic::replay
