#include "replay/process.hpp"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>

namespace actormimic::replay {

namespace {

// The name of process `number` from /proc/<number>/stat, 0 if it has ended, nothing where that
// cannot be told: without /proc, or with no descriptor left to read it.
std::optional<std::uint64_t> name_of(int number) {
  char path[32];
  std::snprintf(path, sizeof path, "/proc/%d/stat", number);
  std::FILE* file = std::fopen(path, "r");
  if (file == nullptr) {
    if (errno == ENOENT && ::access("/proc/self/stat", F_OK) == 0) return 0;
    return std::nullopt;
  }
  char text[1024];
  const std::size_t length = std::fread(text, 1, sizeof text - 1, file);
  std::fclose(file);
  text[length] = '\0';
  // The second field, the command, may hold spaces and brackets: count from the last bracket on.
  const char* rest = std::strrchr(text, ')');
  char state = 'X';
  unsigned long long start_time = 0;
  if (rest == nullptr ||
      std::sscanf(rest + 1,
                  " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                  "%*s %*s %llu",
                  &state, &start_time) != 2)
    return 0;
  if (state == 'Z' || state == 'X') return 0;
  return static_cast<std::uint64_t>(start_time) << 32 | static_cast<std::uint32_t>(number);
}

}  // namespace

std::uint64_t this_process() {
  static std::atomic<std::uint64_t> cached{0};
  const int number = static_cast<int>(::getpid());
  std::uint64_t name = cached.load(std::memory_order_relaxed);
  if (process_number(name) != number) {
    // Where it cannot be told the number alone has to do.
    name = name_of(number).value_or(0);
    if (name == 0) name = static_cast<std::uint32_t>(number);
    cached.store(name, std::memory_order_relaxed);
  }
  return name;
}

bool is_running(std::uint64_t process) {
  if (process == 0) return false;
  const int number = process_number(process);
  const std::optional<std::uint64_t> name = name_of(number);
  // A process that may be running keeps what is its own: two writers would mix their rows.
  if (!name) return ::kill(number, 0) == 0 || errno == EPERM;
  const bool number_alone = process >> 32 == 0;
  return number_alone ? *name != 0 : *name == process;
}

}  // namespace actormimic::replay
