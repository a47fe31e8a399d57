// The two copies of stored bytes: a reader's, which may race with a writer, and a writer's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SANITIZE_THREAD__)
#define ACTORMIMIC_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ACTORMIMIC_TSAN 1
#endif
#endif

#if defined(__SSE2__) && !defined(ACTORMIMIC_TSAN)
#include <emmintrin.h>
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

inline constexpr std::size_t kLine = 64;  // bytes; a cache line of x86-64 and of most aarch64

// Where reading goes on. A copy asks, with each line, for the one that is read `distance` bytes
// later: in the copied bytes as long as there are any, then from `following` on. The processor's
// own prefetching stops at every page and cannot know where the next draw is, so that the copy
// would wait for memory at each of them.
struct Ahead {
  std::size_t distance;
  const std::byte* following;
};

// Copies whole lines, each by `store_line(to, from)`. The second-level cache is asked for what lies
// ahead, since the first one holds less than a stack.
template <typename StoreLine>
void copy_lines(void* to, const void* from, std::size_t bytes, const Ahead* ahead,
                StoreLine store_line) {
  auto* out = static_cast<std::uint8_t*>(to);
  const auto* in = static_cast<const std::uint8_t*>(from);
  const std::size_t until_line = -reinterpret_cast<std::uintptr_t>(out) % kLine;
  if (bytes < until_line + kLine) {
    std::memcpy(out, in, bytes);
    return;
  }
  // Whole lines only, each written at one go: a partly written one is merged in memory, slowly.
  std::memcpy(out, in, until_line);
  std::size_t done = until_line;
  if (ahead == nullptr) {
    for (; done + kLine <= bytes; done += kLine) store_line(out + done, in + done);
  } else {
    const std::size_t turn = bytes - std::min(bytes, ahead->distance);
    for (; done < turn && done + kLine <= bytes; done += kLine) {
      __builtin_prefetch(in + done + ahead->distance, 0, 2);
      store_line(out + done, in + done);
    }
    for (; done + kLine <= bytes; done += kLine) {
      __builtin_prefetch(ahead->following + (done - turn), 0, 2);
      store_line(out + done, in + done);
    }
  }
  std::memcpy(out + done, in + done, bytes - done);
}

// Stores lines past the caches where the processor can. An ordinary store first fetches the old
// line from memory; that is wasted on a stored frame, which is read again long after it was
// evicted, and on a batch, which is larger than the caches that are near. `flush_stores` must come
// between this and whatever publishes the bytes.
#if defined(__SSE2__) && !defined(ACTORMIMIC_TSAN)
inline void stream_line(std::uint8_t* to, const std::uint8_t* from) {
  const auto* source = reinterpret_cast<const __m128i*>(from);
  auto* line = reinterpret_cast<__m128i*>(to);
  const __m128i a = _mm_loadu_si128(source), b = _mm_loadu_si128(source + 1);
  const __m128i c = _mm_loadu_si128(source + 2), d = _mm_loadu_si128(source + 3);
  _mm_stream_si128(line, a);
  _mm_stream_si128(line + 1, b);
  _mm_stream_si128(line + 2, c);
  _mm_stream_si128(line + 3, d);
}
inline void flush_stores() { _mm_sfence(); }
#else
inline void stream_line(std::uint8_t* to, const std::uint8_t* from) {
  std::memcpy(to, from, kLine);
}
inline void flush_stores() {}
#endif

// A writer's copy.
inline void streaming_copy(void* to, const void* from, std::size_t bytes) {
  copy_lines(to, from, bytes, nullptr, stream_line);
}

// racing_copy of a stack's frames: into a batch where kStream, else to where they are read at once.
template <bool kStream>
void racing_stack_copy(void* to, const void* from, std::size_t bytes, const Ahead& ahead) {
#ifdef ACTORMIMIC_TSAN
  (void)ahead;
  racing_copy(to, from, bytes);
#else
  copy_lines(to, from, bytes, &ahead, [](std::uint8_t* line, const std::uint8_t* source) {
    if (kStream)
      stream_line(line, source);
    else
      std::memcpy(line, source, kLine);
  });
#endif
}

}  // namespace actormimic::replay
