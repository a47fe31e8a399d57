// How a sampled stack of frames is laid out for the network that reads it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace actormimic::replay {

enum class StackType : std::uint8_t {
  kUint8,     // the stored bytes, 0 to 255
  kFloat16,   // byte / 255, rounded to nearest even
  kBfloat16,  // the same in bfloat16
};

struct StackFormat {
  StackType type = StackType::kUint8;
  // false: [stack][pixel], as stored; true: [pixel][stack], the channels-last order that
  // convolutions on tensor cores read.
  bool channels_last = false;

  std::size_t element_bytes() const { return type == StackType::kUint8 ? 1 : 2; }
};

// Writes one stack of `stack` frames of `pixels` bytes each, contiguous at `frames`, to `out`
// (stack * pixels elements) in `format`. Uses the widest SIMD that the processor has. With `stream`
// bytes of four frames go past the caches where the processor can; `flush_stores` must follow then.
void format_stack(const std::uint8_t* frames, std::size_t stack, std::size_t pixels,
                  const StackFormat& format, bool stream, std::byte* out);

// The same, one element at a time: what the fast way must equal, bit for bit.
void format_stack_scalar(const std::uint8_t* frames, std::size_t stack, std::size_t pixels,
                         const StackFormat& format, std::byte* out);

}  // namespace actormimic::replay
