// The lanes that one call writes, claimed while it runs, so that two writers on one lane are
// refused instead of mixing their rows.
#pragma once

#include <cstdint>

#include "replay/ring_layout.hpp"

namespace actormimic::replay {

class LaneClaims {
 public:
  // Claims lanes[0] to lanes[count - 1], or the lanes 0 to count - 1 if null; `lanes` must outlive
  // the claims. A claim left by a process that died is taken over. Throws std::runtime_error,
  // holding nothing, if a live thread or process holds one of them. Never waits.
  LaneClaims(LaneControl* controls, const std::int64_t* lanes, std::int64_t count);
  LaneClaims(const LaneClaims&) = delete;
  LaneClaims& operator=(const LaneClaims&) = delete;
  ~LaneClaims() { release(); }

 private:
  std::int64_t lane(std::int64_t i) const { return lanes_ == nullptr ? i : lanes_[i]; }
  void release();

  LaneControl* controls_;
  const std::int64_t* lanes_;
  std::int64_t claimed_ = 0;
};

}  // namespace actormimic::replay
