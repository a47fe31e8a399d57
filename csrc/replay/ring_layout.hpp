// The byte layout of a replay ring in memory, in POSIX shared memory and in a file. This header is
// the document: a program in any language can read a ring from it. All numbers are little-endian.
//
//   offset          what                 size
//   0               RingHeader           4096, never changes once the magic is there
//   lanes_offset    LaneControl[lanes]   128 each
//   rows_offset     RowMeta[C]           8 each, C = lanes * rows_per_lane
//   queues_offset   uint64[C]            8 each: the valid rows of each lane, oldest first
//   frames_offset   uint8[C][frame]      frame_bytes each
//   extras[i].offset                     extras[i].row_bytes for each of the C rows
//
// Every section begins at a multiple of 4096 bytes. A lane's rows are numbered 0, 1, 2, ... as they
// are appended, for ever; row r of lane l lives in slot r % rows_per_lane, at element
// l * rows_per_lane + r % rows_per_lane of each section. The newest frames of a lane are therefore
// neighbors in memory, and a stack is one or two contiguous copies.
//
// A row is valid (may be sampled) when it has an action and a known outcome: it is terminal, or its
// successor is held and begins no history. Valid rows enter their lane's queue in the order of
// their numbers and leave it in the same order, just before a frame of their stack is overwritten.
// Entry v of a queue lives in element v % rows_per_lane and holds a row number; those from
// valid_tail to valid_head - 1 are live. A uniform draw is thus one index into the queues.
//
// A writer overwrites a slot in this order, and readers and whoever takes over after a crash
// rely on it:
//   1. valid_tail passes every row whose stack needs the slot's old frame;
//   2. begun = row + 1, then a fence that every later store stays behind: a release fence, and if
//      step 3 uses stores that pass the caches, a store fence too (x86: sfence);
//   3. the frame, the extras and the RowMeta are written, then the same fence again;
//   4. committed = row + 1 (release);
//   5. the rows that this one completes get kValid, then their queue entry;
//   6. valid_head passes them (release), then settled = row + 1.
// A reader copies and then looks at `begun`: what it copied is whole if the oldest row it touched,
// q, still has q + rows_per_lane >= begun. An append to several lanes takes each of steps 1 to 3
// for all of them before the next fence. A writer killed between two of these steps loses the row
// in flight of each of its lanes at most: the next writer of the lane repeats steps 5 and 6, which
// are idempotent, when settled is behind committed, and writes the row `committed` anew.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace actormimic::replay {

inline constexpr std::uint64_t kMagic = 0x31474E4952544D41;  // the bytes "AMTRING1"
inline constexpr std::uint32_t kLayoutVersion = 1;
inline constexpr std::size_t kSectionAlignment = 4096;
inline constexpr std::size_t kMaxDims = 4;
inline constexpr std::size_t kMaxExtras = 16;
inline constexpr std::uint32_t kMaxStack = 64;

// One named array that is stored beside the frames.
struct ExtraHeader {
  char name[32];                  // zero-padded, at most 31 bytes
  char dtype[8];                  // as numpy's dtype.str: "<f2", "<f4", "|u1", ...; zero-padded
  std::uint32_t dims;             // 0 to kMaxDims
  std::uint32_t shape[kMaxDims];  // zeros behind `dims`
  std::uint32_t reserved;
  std::uint64_t row_bytes;
  std::uint64_t offset;
};
static_assert(sizeof(ExtraHeader) == 80);
static_assert(offsetof(ExtraHeader, dtype) == 32);
static_assert(offsetof(ExtraHeader, dims) == 40);
static_assert(offsetof(ExtraHeader, shape) == 44);
static_assert(offsetof(ExtraHeader, row_bytes) == 64);
static_assert(offsetof(ExtraHeader, offset) == 72);

struct RingHeader {
  std::atomic<std::uint64_t> magic;  // kMagic, written last: without it the ring is unfinished
  std::uint32_t version;             // kLayoutVersion
  std::uint32_t header_bytes;        // sizeof(RingHeader)
  std::uint64_t total_bytes;         // the size of the whole memory or file
  std::uint64_t rows_per_lane;
  std::uint32_t lanes;
  std::uint32_t stack;
  std::uint32_t frame_dims;  // 1 to kMaxDims
  std::uint32_t frame_shape[kMaxDims];
  std::uint32_t extra_count;
  std::uint64_t frame_bytes;
  std::uint64_t lanes_offset;
  std::uint64_t rows_offset;
  std::uint64_t queues_offset;
  std::uint64_t frames_offset;
  ExtraHeader extras[kMaxExtras];
  std::uint8_t reserved[2708];
  std::uint32_t checksum;  // CRC-32 (zlib's) of the bytes 8 to 4091
};
static_assert(sizeof(std::atomic<std::uint64_t>) == 8);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "lanes are shared by processes");
static_assert(sizeof(RingHeader) == 4096);
static_assert(offsetof(RingHeader, version) == 8);
static_assert(offsetof(RingHeader, total_bytes) == 16);
static_assert(offsetof(RingHeader, rows_per_lane) == 24);
static_assert(offsetof(RingHeader, lanes) == 32);
static_assert(offsetof(RingHeader, frame_dims) == 40);
static_assert(offsetof(RingHeader, extra_count) == 60);
static_assert(offsetof(RingHeader, frame_bytes) == 64);
static_assert(offsetof(RingHeader, frames_offset) == 96);
static_assert(offsetof(RingHeader, extras) == 104);
static_assert(offsetof(RingHeader, checksum) == 4092);

// The counters of one lane; they only grow. Each lane has two cache lines of its own, since two
// writers on one line (or on two that the hardware fetches as a pair) would slow each other down.
struct LaneControl {
  std::atomic<std::uint64_t> begun;       // rows whose writing has begun
  std::atomic<std::uint64_t> committed;   // rows that are whole
  std::atomic<std::uint64_t> settled;     // rows whose effect on validity is complete
  std::atomic<std::uint64_t> valid_tail;  // queue entries that have expired
  std::atomic<std::uint64_t> valid_head;  // queue entries ever made
  std::atomic<std::uint64_t> writer;      // 0, or the process appending now (see process.hpp)
  std::uint64_t reserved[10];
};
static_assert(sizeof(LaneControl) == 128);
static_assert(offsetof(LaneControl, committed) == 8);
static_assert(offsetof(LaneControl, settled) == 16);
static_assert(offsetof(LaneControl, valid_tail) == 24);
static_assert(offsetof(LaneControl, valid_head) == 32);
static_assert(offsetof(LaneControl, writer) == 40);

enum RowFlags : std::uint8_t {
  kStart = 1,     // the frame begins a history: zeros lie before it in a stack
  kTerminal = 2,  // the episode ended after the action
  kValid = 4,     // the row may be sampled, and its successor, unless terminal, is held
};

// Read and written as one 8-byte atomic, so that no reader sees half of it.
struct RowMeta {
  float reward;
  std::int16_t action;  // -1: none was taken, the row is a successor only
  std::uint8_t flags;   // RowFlags
  std::uint8_t depth;   // frames of the same history that lie before it in a stack, < stack
};
static_assert(sizeof(RowMeta) == 8);
static_assert(offsetof(RowMeta, action) == 4);
static_assert(offsetof(RowMeta, flags) == 6);
static_assert(offsetof(RowMeta, depth) == 7);

}  // namespace actormimic::replay
