// Who is writing a lane: a process named so that a recycled process number is told from it.
#pragma once

#include <cstdint>

namespace actormimic::replay {

// The calling process: its number in the low 32 bits, the low half of its start time (clock ticks
// since boot) in the high ones. Never 0. Correct after a fork; thread-safe.
std::uint64_t this_process();

// Whether the process that `this_process` named still runs; a zombie does not. Processes that share
// a ring have to see each other's numbers: in another PID namespace the answer is that of a
// stranger.
bool is_running(std::uint64_t process);

// The process number within such a name.
inline int process_number(std::uint64_t process) { return static_cast<int>(process & 0xFFFFFFFFu); }

}  // namespace actormimic::replay
