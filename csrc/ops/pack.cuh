#pragma once

namespace actormimic::ops::cuda {

// `kSize` elements that are loaded and stored together, in accesses of 16 bytes where they are
// that long.
template <typename Element, int kSize>
struct alignas(sizeof(Element) * kSize < 16 ? sizeof(Element) * kSize : 16) Pack {
  Element values[kSize];
};

}  // namespace actormimic::ops::cuda
