// The one copy in the ring that may race with a writer.
#pragma once

#include <cstddef>
#include <cstring>

#if defined(__SANITIZE_THREAD__)
#define ACTORMIMIC_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ACTORMIMIC_TSAN 1
#endif
#endif

namespace actormimic::replay {

// Copies stored bytes that a writer may be overwriting at this moment. The reader looks at the
// lane's `begun` afterwards and throws such a copy away unseen, so the race is harmless; but a
// sanitizer cannot know that, and checking every word atomically would halve the speed. Readers
// copy stored frames and extras through this function and through nothing else, so that every
// other race in the ring is still reported.
#ifdef ACTORMIMIC_TSAN
__attribute__((no_sanitize("thread"), noinline)) inline void racing_copy(void* to, const void* from,
                                                                         std::size_t bytes) {
  // volatile: the compiler would make this loop a memcpy, which the sanitizer intercepts.
  auto* out = static_cast<volatile unsigned char*>(to);
  auto* in = static_cast<const volatile unsigned char*>(from);
  for (std::size_t i = 0; i < bytes; ++i) out[i] = in[i];
}
#else
inline void racing_copy(void* to, const void* from, std::size_t bytes) {
  std::memcpy(to, from, bytes);
}
#endif

}  // namespace actormimic::replay
