#include "ops/transition_draw.hpp"

#include "common/check.hpp"

namespace actormimic::ops {

void TransitionDraw::check() const {
  require_range<std::int64_t>("rings", rings, 1, 1 << 16);
  require_range<std::int64_t>("lanes", lanes, 1, 1 << 20);
  require_range<std::int64_t>("rows_per_lane", rows_per_lane, kStack + 1, std::int64_t{1} << 32);
  require_range<std::int64_t>("per_ring", per_ring, 1, 1 << 24);
  require_range<std::int64_t>("n_step", n_step, 1, std::int64_t{1} << 31);
  require(gamma >= 0.0 && gamma <= 1.0, "gamma is ", gamma, "; allowed: 0 to 1");
  require(rows && queues && cursors, "rows, queues and cursors need memory");
  require(prefixes && counter, "prefixes and counter need memory");
}

void draw_transitions(const TransitionDraw& draw) {
  draw.check();
  for (std::int64_t item = 0; item < draw.rings * draw.per_ring; ++item)
    draw_transition(draw, *draw.counter, item);
  ++*draw.counter;
}

}  // namespace actormimic::ops
