// Saving a ring to a file and loading it back. The file, little-endian:
//
//   SaveHeader                          sizes and checksums of what follows
//   RingHeader                          as in ring_layout.hpp
//   LaneCursors[lanes]
//   chunks                              the used part of each lane, deflated if asked for
//   ChunkEntry[chunks]                  stored size and CRC-32 of each
//
// Everything but the chunks' content is checked, and the size of the file with it, before the ring
// is touched.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "common/check.hpp"
#include "replay/lane_claims.hpp"
#include "replay/ring.hpp"

namespace actormimic::replay {

namespace {

constexpr std::uint64_t kSaveMagic = 0x31455641534D4152;  // the bytes "RAMSAVE1"
constexpr std::size_t kChunkBytes = 4u << 20;

struct LaneCursors {
  std::uint64_t begun, committed, settled, valid_tail, valid_head;

  bool operator==(const LaneCursors& other) const {
    return std::memcmp(this, &other, sizeof *this) == 0;
  }
};

struct ChunkEntry {
  std::uint32_t stored_bytes;
  std::uint32_t checksum;  // CRC-32 of the bytes before compression
};

struct SaveHeader {
  std::uint64_t magic;
  std::uint32_t compressed;
  std::uint32_t index_checksum;  // of the chunk entries
  std::uint32_t shape_checksum;  // of the ring header and the cursors
  std::uint32_t reserved;
  std::uint64_t chunks;
  std::uint64_t index_offset;
  std::uint64_t checksum;  // of the fields above
};
static_assert(sizeof(SaveHeader) == 48);

std::uint32_t crc(const void* data, std::size_t bytes, std::uint32_t seed = 0) {
  return static_cast<std::uint32_t>(::crc32_z(seed, static_cast<const Bytef*>(data), bytes));
}

std::uint64_t checksum(const SaveHeader& header) {
  return crc(&header, offsetof(SaveHeader, checksum));
}

// A file descriptor whose calls throw std::system_error.
class File {
 public:
  File(const std::string& path, int flags)
      : path_(path), descriptor_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {
    if (descriptor_ < 0) fail("cannot be opened");
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { ::close(descriptor_); }

  void write(const void* data, std::size_t bytes) {
    const auto* from = static_cast<const char*>(data);
    while (bytes > 0) {
      const ssize_t written = ::write(descriptor_, from, bytes);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) fail("cannot be written");
      from += written;
      bytes -= static_cast<std::size_t>(written);
    }
  }

  void read(void* data, std::size_t bytes) {
    auto* to = static_cast<char*>(data);
    while (bytes > 0) {
      const ssize_t got = ::read(descriptor_, to, bytes);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail("cannot be read");
      ensure(got > 0, "'", path_, "' is truncated");
      to += got;
      bytes -= static_cast<std::size_t>(got);
    }
  }

  void seek(std::uint64_t offset) {
    if (::lseek(descriptor_, static_cast<off_t>(offset), SEEK_SET) < 0) fail("cannot be read");
  }

  std::uint64_t size() const {
    struct stat status;
    if (::fstat(descriptor_, &status) != 0) fail("cannot be read");
    return static_cast<std::uint64_t>(status.st_size);
  }

  void sync() {
    if (::fsync(descriptor_) != 0) fail("cannot be written");
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    throw std::system_error(errno, std::generic_category(), "'" + path_ + "' " + what);
  }

  std::string path_;
  int descriptor_;
};

// Makes a new name in the file's folder last through a power failure. A folder that may not be read
// or a file system that syncs none leaves that to the system.
void sync_folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  const int error = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  if (error != 0 && error != EINVAL)
    throw std::system_error(error, std::generic_category(), "'" + folder + "' cannot be written");
}

// The temporary name of a file: no other call has it, in this process or in another one.
std::string temporary_name(const std::string& path) {
  static std::atomic<std::uint64_t> calls{0};
  return detail::join(path, ".tmp-", ::getpid(), "-", calls.fetch_add(1));
}

// A file that appears under its name only when it is complete.
class NewFile {
 public:
  explicit NewFile(const std::string& path)
      : path_(path),
        temporary_(temporary_name(path)),
        file_(temporary_, O_WRONLY | O_CREAT | O_TRUNC) {}
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  ~NewFile() {
    if (!complete_) ::unlink(temporary_.c_str());
  }
  File& file() { return file_; }
  void complete() {
    file_.sync();
    if (::rename(temporary_.c_str(), path_.c_str()) != 0)
      throw std::system_error(errno, std::generic_category(), "'" + path_ + "' cannot be written");
    complete_ = true;
    sync_folder_of(path_);
  }

 private:
  std::string path_;
  std::string temporary_;
  File file_;
  bool complete_ = false;
};

LaneCursors cursors_of(const LaneControl& control) {
  return {control.begun.load(), control.committed.load(), control.settled.load(),
          control.valid_tail.load(), control.valid_head.load()};
}

void set_cursors(LaneControl& control, const LaneCursors& cursors) {
  control.begun.store(cursors.begun);
  control.committed.store(cursors.committed);
  control.settled.store(cursors.settled);
  control.valid_tail.store(cursors.valid_tail);
  control.valid_head.store(cursors.valid_head);
}

struct Chunk {
  std::byte* data;
  std::size_t bytes;
};

// The used part of a ring's memory, lane by lane, in pieces of at most kChunkBytes.
std::vector<Chunk> used_chunks(std::byte* data, const RingHeader& header,
                               const std::vector<LaneCursors>& cursors) {
  std::vector<Chunk> chunks;
  const std::uint64_t rows_per_lane = header.rows_per_lane;
  const auto add = [&](std::uint64_t offset, std::uint64_t lane, std::uint64_t row_bytes,
                       std::uint64_t rows) {
    std::byte* begin = data + offset + lane * rows_per_lane * row_bytes;
    for (std::uint64_t done = 0, bytes = rows * row_bytes; done < bytes; done += kChunkBytes)
      chunks.push_back({begin + done, std::min<std::uint64_t>(bytes - done, kChunkBytes)});
  };
  for (std::uint64_t lane = 0; lane < header.lanes; ++lane) {
    const std::uint64_t rows = std::min(cursors[lane].begun, rows_per_lane);
    add(header.rows_offset, lane, sizeof(RowMeta), rows);
    add(header.queues_offset, lane, sizeof(std::uint64_t),
        std::min(cursors[lane].valid_head, rows_per_lane));
    add(header.frames_offset, lane, header.frame_bytes, rows);
    for (std::uint32_t e = 0; e < header.extra_count; ++e)
      add(header.extras[e].offset, lane, header.extras[e].row_bytes, rows);
  }
  return chunks;
}

constexpr std::size_t kSkippedMagic = offsetof(RingHeader, version);

const std::byte* after_magic(const RingHeader& header) {
  return reinterpret_cast<const std::byte*>(&header) + kSkippedMagic;
}

std::string describe(const RingHeader& header) {
  const RingShape shape = shape_of(header);
  std::string text = detail::join(shape.lanes, " lanes of ", shape.rows_per_lane, " rows, stack ",
                                  shape.stack, ", frames (");
  for (std::size_t d = 0; d < shape.frame_shape.size(); ++d)
    text += detail::join(d == 0 ? "" : ", ", shape.frame_shape[d]);
  text += "), extras [";
  for (std::size_t e = 0; e < shape.extras.size(); ++e)
    text += detail::join(e == 0 ? "" : ", ", shape.extras[e].name, " ", shape.extras[e].dtype, " x",
                         header.extras[e].row_bytes);
  return text + "]";
}

bool plausible(const LaneCursors& cursors, std::uint64_t rows_per_lane) {
  return cursors.committed <= cursors.begun && cursors.begun <= cursors.committed + 1 &&
         cursors.settled <= cursors.committed && cursors.committed <= cursors.settled + 1 &&
         cursors.valid_tail <= cursors.valid_head &&
         cursors.valid_head - cursors.valid_tail <= rows_per_lane;
}

}  // namespace

void ReplayRing::save(const std::string& path, bool compress) const {
  const auto& ring_header = *reinterpret_cast<const RingHeader*>(mapping_.data());
  std::vector<LaneCursors> cursors;
  for (std::uint32_t lane = 0; lane < shape_.lanes; ++lane)
    cursors.push_back(cursors_of(lanes_[lane]));
  const std::vector<Chunk> chunks = used_chunks(mapping_.data(), ring_header, cursors);

  NewFile target(path);
  File& file = target.file();
  SaveHeader header{};
  header.magic = kSaveMagic;
  header.compressed = compress ? 1 : 0;
  header.chunks = chunks.size();
  const std::size_t cursor_bytes = cursors.size() * sizeof(LaneCursors);
  header.shape_checksum = crc(cursors.data(), cursor_bytes,
                              crc(after_magic(ring_header), sizeof(RingHeader) - kSkippedMagic));
  file.write(&header, sizeof header);
  file.write(&ring_header, sizeof ring_header);
  file.write(cursors.data(), cursor_bytes);
  header.index_offset = sizeof header + sizeof ring_header + cursor_bytes;

  std::vector<ChunkEntry> index;
  std::vector<Bytef> deflated(compress ? ::compressBound(kChunkBytes) : 0);
  for (const Chunk& chunk : chunks) {
    const void* stored = chunk.data;
    std::size_t stored_bytes = chunk.bytes;
    if (compress) {
      uLongf bytes = deflated.size();
      ensure(::compress2(deflated.data(), &bytes, reinterpret_cast<const Bytef*>(chunk.data),
                         chunk.bytes, Z_BEST_SPEED) == Z_OK,
             "zlib cannot compress ", chunk.bytes, " bytes");
      stored = deflated.data();
      stored_bytes = bytes;
    }
    file.write(stored, stored_bytes);
    index.push_back({static_cast<std::uint32_t>(stored_bytes), crc(chunk.data, chunk.bytes)});
    header.index_offset += stored_bytes;
  }
  // The cursors must be read after the content, as a sample reads them.
  std::atomic_thread_fence(std::memory_order_acquire);
  for (std::uint32_t lane = 0; lane < shape_.lanes; ++lane)
    ensure(cursors_of(lanes_[lane]) == cursors[lane], "lane ", lane,
           " was appended to while the ring was being saved");
  header.index_checksum = crc(index.data(), index.size() * sizeof(ChunkEntry));
  header.checksum = checksum(header);
  file.write(index.data(), index.size() * sizeof(ChunkEntry));
  file.seek(0);
  file.write(&header, sizeof header);
  target.complete();
}

void ReplayRing::load(const std::string& path) {
  File file(path, O_RDONLY);
  const auto check = [&](bool ok, const char* what) { ensure(ok, "'", path, "' ", what); };
  const std::uint64_t size = file.size();
  SaveHeader header{};
  check(size >= sizeof header + sizeof(RingHeader), "is truncated, or no saved ring");
  file.read(&header, sizeof header);
  check(header.magic == kSaveMagic, "is no saved ring");
  check(header.checksum == checksum(header), "has a damaged header");
  check(header.index_offset + header.chunks * sizeof(ChunkEntry) == size, "is truncated");

  RingHeader saved{};
  const auto& own = *reinterpret_cast<const RingHeader*>(mapping_.data());
  std::vector<std::byte> saved_bytes(sizeof(RingHeader));
  file.read(saved_bytes.data(), saved_bytes.size());
  std::memcpy(reinterpret_cast<std::byte*>(&saved) + kSkippedMagic,
              saved_bytes.data() + kSkippedMagic, sizeof(RingHeader) - kSkippedMagic);
  check(saved.version == own.version, "has another layout version");
  check(saved.checksum == header_checksum(saved), "has a damaged ring header");
  require(
      std::memcmp(after_magic(saved), after_magic(own), sizeof(RingHeader) - kSkippedMagic) == 0,
      "'", path, "' holds a ring of ", describe(saved), "; this one has ", describe(own));

  std::vector<LaneCursors> cursors(shape_.lanes);
  file.read(cursors.data(), cursors.size() * sizeof(LaneCursors));
  check(header.shape_checksum == crc(cursors.data(), cursors.size() * sizeof(LaneCursors),
                                     crc(after_magic(saved), sizeof(RingHeader) - kSkippedMagic)),
        "has damaged cursors");
  for (const LaneCursors& lane : cursors)
    check(plausible(lane, shape_.rows_per_lane), "has impossible cursors");
  const std::uint64_t content =
      sizeof header + sizeof(RingHeader) + cursors.size() * sizeof(LaneCursors);
  const std::vector<Chunk> chunks = used_chunks(mapping_.data(), own, cursors);
  check(chunks.size() == header.chunks, "has chunks of another size");
  std::vector<ChunkEntry> index(chunks.size());
  file.seek(header.index_offset);
  file.read(index.data(), index.size() * sizeof(ChunkEntry));
  check(header.index_checksum == crc(index.data(), index.size() * sizeof(ChunkEntry)),
        "has a damaged index");
  std::uint64_t stored = content;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const std::uint64_t bytes = index[i].stored_bytes;
    check(header.compressed != 0 ? bytes <= ::compressBound(chunks[i].bytes)
                                 : bytes == chunks[i].bytes,
          "has chunks of another size");
    stored += bytes;
  }
  check(stored == header.index_offset, "has chunks of another size");

  std::vector<Bytef> deflated(header.compressed != 0 ? ::compressBound(kChunkBytes) : 0);
  file.seek(content);
  const LaneClaims claims(lanes_, nullptr, shape_.lanes);
  for (std::uint32_t lane = 0; lane < shape_.lanes; ++lane) set_cursors(lanes_[lane], {});
  try {
    for (std::size_t i = 0; i < chunks.size(); ++i) {
      const Chunk& chunk = chunks[i];
      if (header.compressed != 0) {
        file.read(deflated.data(), index[i].stored_bytes);
        uLongf bytes = chunk.bytes;
        check(::uncompress(reinterpret_cast<Bytef*>(chunk.data), &bytes, deflated.data(),
                           index[i].stored_bytes) == Z_OK &&
                  bytes == chunk.bytes,
              "is damaged");
      } else {
        file.read(chunk.data, chunk.bytes);
      }
      check(index[i].checksum == crc(chunk.data, chunk.bytes), "is damaged");
    }
  } catch (const std::exception& problem) {
    throw std::runtime_error(detail::join(problem.what(), "; the ring is empty now"));
  }
  for (std::uint32_t lane = 0; lane < shape_.lanes; ++lane)
    set_cursors(lanes_[lane], cursors[lane]);
}

}  // namespace actormimic::replay
