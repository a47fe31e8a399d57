// What a ring is made of, and the header that says so.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ring_layout.hpp"

namespace actormimic::replay {

struct ExtraSpec {
  std::string name;                  // 1 to 31 bytes
  std::string dtype;                 // as numpy's dtype.str, e.g. "<f2"
  std::vector<std::uint32_t> shape;  // of one row; empty for a scalar
};

struct RingShape {
  std::uint32_t lanes = 0;
  std::uint64_t rows_per_lane = 0;  // more than `stack`, for a stack and its successor
  std::uint32_t stack = 4;
  std::vector<std::uint32_t> frame_shape{84, 84};
  std::vector<ExtraSpec> extras;

  std::uint64_t frame_bytes() const;
};

// Throws std::invalid_argument, with the name and what is allowed, on a shape that cannot be.
void check_shape(const RingShape& shape);

// Fills the header of a ring of a checked shape, but for the magic.
void describe(const RingShape& shape, RingHeader& header);

// The shape that a header speaks of. Reads nothing outside the header, whatever its numbers are,
// but only `is_described_by` tells whether they fit together.
RingShape shape_of(const RingHeader& header);

// Whether the header is, but for the magic, the one that `describe` makes of the shape.
bool is_described_by(const RingHeader& header, const RingShape& shape);

// What `header.checksum` should be.
std::uint32_t header_checksum(const RingHeader& header);

// Throws std::out_of_range or std::invalid_argument unless the lanes are distinct and in [0, all).
void check_lanes(const std::int64_t* lanes, std::int64_t count, std::int64_t all);

}  // namespace actormimic::replay
