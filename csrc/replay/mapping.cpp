#include "replay/mapping.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "common/check.hpp"

namespace actormimic::replay {

namespace {

// Tells our segments from those of others.
constexpr char kPrefix[] = "actormimic.";
constexpr std::size_t kMaxName = 200;

[[noreturn]] void fail(int error, const Location& location, const char* what) {
  throw std::system_error(error, std::generic_category(), location.label() + " " + what);
}

bool is_name(const std::string& name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= kMaxName && std::all_of(name.begin(), name.end(), allowed);
}

void check_location(const Location& location) {
  require(location.name.empty() || location.path.empty(),
          "a ring has a name or a path; both were given: '", location.name, "' and '",
          location.path, "'");
  require(location.name.empty() || is_name(location.name), "name is '", location.name,
          "'; allowed: 1 to ", kMaxName, " letters, digits, '.', '_' and '-'");
}

class File {
 public:
  File(const Location& location, int flags)
      : descriptor_(location.name.empty()
                        ? ::open(location.path.c_str(), flags | O_CLOEXEC, 0600)
                        : ::shm_open(("/" + (kPrefix + location.name)).c_str(), flags, 0600)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

void* map(int descriptor, std::size_t bytes) {
  return ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
}

// A signal undoes the call that it interrupts, and a timer's would undo one for gigabytes again and
// again: then it goes on in pieces. The first call is for everything, because the system refuses at
// once what can never fit, whereas pieces would fill the device (and, of a shared memory, the
// machine) before one of them fails.
int reserve(int descriptor, std::size_t bytes) {
  constexpr std::size_t kPiece = std::size_t{8} << 20;
  const int whole = ::posix_fallocate(descriptor, 0, static_cast<off_t>(bytes));
  if (whole != EINTR) return whole;
  for (std::size_t done = 0; done < bytes;) {
    const std::size_t piece = std::min(bytes - done, kPiece);
    const int error =
        ::posix_fallocate(descriptor, static_cast<off_t>(done), static_cast<off_t>(piece));
    if (error == 0)
      done += piece;
    else if (error != EINTR)
      return error;
  }
  return 0;
}

}  // namespace

std::string Location::label() const {
  if (!name.empty()) return "ring '" + name + "'";
  if (!path.empty()) return "ring file '" + path + "'";
  return "private ring";
}

Mapping Mapping::create(const Location& location, std::size_t bytes) {
  check_location(location);
  void* data;
  if (location.name.empty() && location.path.empty()) {
    data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) fail(errno, location, "cannot be made");
  } else {
    const File file(location, O_RDWR | O_CREAT | O_EXCL);
    if (file.get() < 0)
      fail(errno, location,
           errno == EEXIST ? "cannot be made; attach to it or remove it" : "cannot be made");
    int error = reserve(file.get(), bytes);
    data = MAP_FAILED;
    if (error == 0) {
      data = map(file.get(), bytes);
      if (data == MAP_FAILED) error = errno;
    }
    if (error != 0) {
      remove(location);
      fail(error, location,
           ("cannot be made: " + std::to_string(bytes) + " bytes asked for").c_str());
    }
  }
  // Draws are scattered over gigabytes: with small pages nearly each one misses the TLB. A kernel
  // that knows no huge pages refuses, which only costs speed.
  (void)::madvise(data, bytes, MADV_HUGEPAGE);
  return Mapping(data, bytes);
}

Mapping Mapping::attach(const Location& location) {
  require(!location.name.empty() || !location.path.empty(), "a name or a path is needed to attach");
  check_location(location);
  const File file(location, O_RDWR);
  if (file.get() < 0) fail(errno, location, "cannot be joined");
  struct stat status;
  if (::fstat(file.get(), &status) != 0) fail(errno, location, "cannot be joined");
  ensure(status.st_uid == ::geteuid(), location.label(), " belongs to user ", status.st_uid,
         ", not to ", ::geteuid());
  ensure(status.st_size > 0, location.label(), " is empty: unfinished, or no ring");
  const auto bytes = static_cast<std::size_t>(status.st_size);
  void* data = map(file.get(), bytes);
  if (data == MAP_FAILED) fail(errno, location, "cannot be joined");
  (void)::madvise(data, bytes, MADV_HUGEPAGE);
  return Mapping(data, bytes);
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

void remove(const Location& location) {
  require(!location.name.empty() || !location.path.empty(), "a private ring has no name to remove");
  check_location(location);
  const int failed = location.name.empty()
                         ? ::unlink(location.path.c_str())
                         : ::shm_unlink(("/" + (kPrefix + location.name)).c_str());
  if (failed != 0) fail(errno, location, "cannot be removed");
}

std::vector<std::string> list_names() {
  std::vector<std::string> names;
  DIR* folder = ::opendir("/dev/shm");
  if (folder == nullptr) return names;
  while (const dirent* entry = ::readdir(folder)) {
    const std::string file = entry->d_name;
    if (file.rfind(kPrefix, 0) != 0) continue;
    // What no ring can be called is somebody else's file.
    const std::string name = file.substr(sizeof kPrefix - 1);
    if (is_name(name)) names.push_back(name);
  }
  ::closedir(folder);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace actormimic::replay
