#include "replay/ring_shape.hpp"

#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "common/check.hpp"

namespace actormimic::replay {

namespace {

struct Dtype {
  const char* name;
  std::uint64_t bytes;
};
constexpr Dtype kDtypes[] = {{"|b1", 1}, {"|u1", 1}, {"|i1", 1}, {"<u2", 2},
                             {"<i2", 2}, {"<f2", 2}, {"<u4", 4}, {"<i4", 4},
                             {"<f4", 4}, {"<u8", 8}, {"<i8", 8}, {"<f8", 8}};

std::uint64_t dtype_bytes(const std::string& extra, const std::string& dtype) {
  for (const Dtype& known : kDtypes)
    if (dtype == known.name) return known.bytes;
  throw std::invalid_argument("extra '" + extra + "' has dtype '" + dtype +
                              "'; allowed: bool, little-endian integers and float16 to float64");
}

// Limits whose product leaves room in 64 bits for 17 arrays of them.
constexpr std::uint64_t kMaxRows = std::uint64_t{1} << 32;
constexpr std::uint64_t kMaxRowBytes = std::uint64_t{1} << 26;

// bytes * shape[0] * ...: at most 2^26 * 2^15 until it passes the limit, and left there.
std::uint64_t product(std::uint64_t bytes, const std::vector<std::uint32_t>& shape) {
  for (const std::uint32_t size : shape)
    if (bytes <= kMaxRowBytes) bytes *= size;
  return bytes;
}

std::uint64_t row_bytes(const ExtraSpec& extra) {
  return product(dtype_bytes(extra.name, extra.dtype), extra.shape);
}

std::uint64_t align(std::uint64_t offset) {
  return (offset + kSectionAlignment - 1) / kSectionAlignment * kSectionAlignment;
}

}  // namespace

std::uint64_t RingShape::frame_bytes() const { return product(1, frame_shape); }

void check_shape(const RingShape& shape) {
  require_range<std::uint64_t>("lanes", shape.lanes, 1, 1u << 20);
  require_range<std::uint32_t>("stack", shape.stack, 1, kMaxStack);
  require(shape.rows_per_lane > shape.stack, "capacity gives each of ", shape.lanes, " lanes ",
          shape.rows_per_lane, " rows; allowed: ", shape.stack + 1, " or more, for a stack of ",
          shape.stack, " and its successor");
  require(shape.rows_per_lane <= kMaxRows / shape.lanes, "capacity is ",
          shape.rows_per_lane * shape.lanes, "; allowed: up to ", kMaxRows);
  require(1 <= shape.frame_shape.size() && shape.frame_shape.size() <= kMaxDims, "frame_shape has ",
          shape.frame_shape.size(), " dimensions; allowed: 1 to ", kMaxDims);
  for (const std::uint32_t size : shape.frame_shape)
    require_range<std::uint32_t>("a size in frame_shape", size, 1, 1u << 15);
  require(shape.frame_bytes() <= kMaxRowBytes, "frame_shape gives ", shape.frame_bytes(),
          " bytes a frame; allowed: up to ", kMaxRowBytes);
  require(shape.extras.size() <= kMaxExtras, "extras has ", shape.extras.size(),
          " entries; allowed: up to ", kMaxExtras);
  for (const ExtraSpec& extra : shape.extras) {
    require(!extra.name.empty() && extra.name.size() < sizeof(ExtraHeader::name), "extra '",
            extra.name, "' has a name of ", extra.name.size(), " bytes; allowed: 1 to ",
            sizeof(ExtraHeader::name) - 1);
    // The header keeps a name as far as its first zero: the ring could not be joined again.
    require(extra.name.find('\0') == std::string::npos, "extra '", extra.name.c_str(),
            "...' has a zero byte in its name");
    require(extra.shape.size() <= kMaxDims, "extra '", extra.name, "' has ", extra.shape.size(),
            " dimensions; allowed: up to ", kMaxDims);
    dtype_bytes(extra.name, extra.dtype);
    for (const std::uint32_t size : extra.shape)
      require(1 <= size && size <= 1u << 15, "extra '", extra.name, "' has a size of ", size,
              "; allowed: 1 to ", 1u << 15);
    require(row_bytes(extra) <= kMaxRowBytes, "extra '", extra.name, "' takes ", row_bytes(extra),
            " bytes a row; allowed: up to ", kMaxRowBytes);
    const auto same = [&](const ExtraSpec& other) { return other.name == extra.name; };
    require(std::count_if(shape.extras.begin(), shape.extras.end(), same) == 1, "extra '",
            extra.name, "' is named twice");
  }
}

std::uint32_t header_checksum(const RingHeader& header) {
  const auto* bytes = reinterpret_cast<const Bytef*>(&header) + offsetof(RingHeader, version);
  return static_cast<std::uint32_t>(
      ::crc32(0, bytes, offsetof(RingHeader, checksum) - offsetof(RingHeader, version)));
}

// Fills everything but the magic; the shape has been checked.
void describe(const RingShape& shape, RingHeader& header) {
  const std::uint64_t capacity = shape.lanes * shape.rows_per_lane;
  header.version = kLayoutVersion;
  header.header_bytes = sizeof(RingHeader);
  header.rows_per_lane = shape.rows_per_lane;
  header.lanes = shape.lanes;
  header.stack = shape.stack;
  header.frame_dims = static_cast<std::uint32_t>(shape.frame_shape.size());
  std::copy(shape.frame_shape.begin(), shape.frame_shape.end(), header.frame_shape);
  header.extra_count = static_cast<std::uint32_t>(shape.extras.size());
  header.frame_bytes = shape.frame_bytes();
  header.lanes_offset = sizeof(RingHeader);
  header.rows_offset = align(header.lanes_offset + shape.lanes * sizeof(LaneControl));
  header.queues_offset = align(header.rows_offset + capacity * sizeof(RowMeta));
  header.frames_offset = align(header.queues_offset + capacity * sizeof(std::uint64_t));
  std::uint64_t end = align(header.frames_offset + capacity * header.frame_bytes);
  for (std::size_t i = 0; i < shape.extras.size(); ++i) {
    const ExtraSpec& spec = shape.extras[i];
    ExtraHeader& extra = header.extras[i];
    std::copy(spec.name.begin(), spec.name.end(), extra.name);
    std::copy(spec.dtype.begin(), spec.dtype.end(), extra.dtype);
    extra.dims = static_cast<std::uint32_t>(spec.shape.size());
    std::copy(spec.shape.begin(), spec.shape.end(), extra.shape);
    extra.row_bytes = row_bytes(spec);
    extra.offset = end;
    end = align(end + capacity * extra.row_bytes);
  }
  header.total_bytes = end;
  header.checksum = header_checksum(header);
}

// Counts beyond their limit are cut, and names may lack their zero.
RingShape shape_of(const RingHeader& header) {
  const auto sizes = [](const std::uint32_t (&shape)[kMaxDims], std::uint32_t dims) {
    return std::vector<std::uint32_t>(shape, shape + std::min<std::size_t>(dims, kMaxDims));
  };
  RingShape shape;
  shape.lanes = header.lanes;
  shape.rows_per_lane = header.rows_per_lane;
  shape.stack = header.stack;
  shape.frame_shape = sizes(header.frame_shape, header.frame_dims);
  for (std::size_t i = 0; i < std::min<std::size_t>(header.extra_count, kMaxExtras); ++i) {
    const ExtraHeader& extra = header.extras[i];
    shape.extras.push_back({std::string(extra.name, strnlen(extra.name, sizeof extra.name)),
                            std::string(extra.dtype, strnlen(extra.dtype, sizeof extra.dtype)),
                            sizes(extra.shape, extra.dims)});
  }
  return shape;
}

bool is_described_by(const RingHeader& header, const RingShape& shape) {
  try {
    check_shape(shape);
  } catch (const std::invalid_argument&) {
    return false;
  }
  RingHeader expected{};
  describe(shape, expected);
  constexpr std::size_t skipped = offsetof(RingHeader, version);
  return std::memcmp(reinterpret_cast<const std::byte*>(&header) + skipped,
                     reinterpret_cast<const std::byte*>(&expected) + skipped,
                     sizeof(RingHeader) - skipped) == 0;
}

void check_lanes(const std::int64_t* lanes, std::int64_t count, std::int64_t all) {
  static thread_local std::vector<bool> seen;
  seen.assign(static_cast<std::size_t>(all), false);
  for (std::int64_t i = 0; i < count; ++i) {
    require_index("lane", lanes[i], all);
    require(!seen[static_cast<std::size_t>(lanes[i])], "lane ", lanes[i], " is named twice");
    seen[static_cast<std::size_t>(lanes[i])] = true;
  }
}

}  // namespace actormimic::replay
