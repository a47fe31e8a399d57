#include "replay/lane_claims.hpp"

#include "common/check.hpp"
#include "replay/process.hpp"

namespace actormimic::replay {

LaneClaims::LaneClaims(LaneControl* controls, const std::int64_t* lanes, std::int64_t count)
    : controls_(controls), lanes_(lanes) {
  const std::uint64_t self = this_process();
  for (; claimed_ < count; ++claimed_) {
    std::atomic<std::uint64_t>& writer = controls_[lane(claimed_)].writer;
    std::uint64_t holder = 0;
    // A failed exchange leaves the holder in `holder`; the next round takes over from that one.
    while (!writer.compare_exchange_strong(holder, self, std::memory_order_acq_rel)) {
      if (holder == 0 || (holder != self && !is_running(holder))) continue;
      const std::int64_t taken = lane(claimed_);
      release();
      throw std::runtime_error(detail::join(
          "lane ", taken, " is being written by ",
          holder == self ? "another thread of process " : "process ", process_number(holder)));
    }
  }
}

void LaneClaims::release() {
  while (claimed_ > 0) controls_[lane(--claimed_)].writer.store(0, std::memory_order_release);
}

}  // namespace actormimic::replay
