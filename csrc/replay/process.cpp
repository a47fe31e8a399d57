#include "replay/process.hpp"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>

namespace actormimic::replay {

namespace {

// The name of process `number` from /proc/<number>/stat, or 0 if it has ended.
std::uint64_t name_of(int number) {
  char path[32];
  std::snprintf(path, sizeof path, "/proc/%d/stat", number);
  std::FILE* file = std::fopen(path, "r");
  if (file == nullptr) return 0;
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
    name = name_of(number);
    // Without /proc the number alone has to do.
    if (name == 0) name = static_cast<std::uint32_t>(number);
    cached.store(name, std::memory_order_relaxed);
  }
  return name;
}

bool is_running(std::uint64_t process) {
  return process != 0 && name_of(process_number(process)) == process;
}

}  // namespace actormimic::replay
