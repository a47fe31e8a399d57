// The mathematics of one row of the Actor-Mimic loss (equations 3 to 6 of the paper), one number at
// a time: the CPU kernels apply it to many rows at once, the CUDA kernel to one action per thread.
//
// With z the student's logits, Q the expert's values, tau the temperature and sums over the valid
// actions only:
//   y = z - max z,          pi  = exp(y) / S,   S = sum exp(y)
//   x = (Q - max Q) / tau,  pi_E = exp(x) / T,  T = sum exp(x)      (equation 3)
// Every exponent is <= 0, so values of any scale, 1e4 and -1e4 side by side, overflow nowhere.
#pragma once

#include <math.h>
#include <cstdint>

#include "ops/element.hpp"

namespace actormimic::ops {

// Outputs of the student: ALE's 18 actions, valid or not.
constexpr int kActions = 18;

// What the policy part minimizes. The numbers are those that Python hands over.
enum class Objective : int {
  kCrossEntropy = 0,  // -sum pi_E log pi                (equation 4 with the sign of a loss)
  kKl = 1,            // sum pi_E (log pi_E - log pi)    same gradient, zero at the optimum
  kReverseKl = 2,     // sum pi (log pi - log pi_E)
  kMse = 3,           // mean over the valid actions of (z - Q)^2: the alternative of section 3.1
};

// exp(x) for x <= 0 within 1.2 units in the last place; 0 below -87.3, where the result would be
// subnormal; NaN stays NaN. Written without calls and branches so that loops over it vectorize.
ACTORMIMIC_ROW_MATH float exp_nonpositive(float x) {
  // x = n ln 2 + r. Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
  const float shifted = x * 1.44269504f + 12582912.0f;
  const float n = shifted - 12582912.0f;
  const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  // The Taylor series to degree 7: its remainder for |r| <= ln(2)/2 is below 6e-9.
  float p = 1.98412698e-4f;
  p = p * r + 1.38888889e-3f;
  p = p * r + 8.33333333e-3f;
  p = p * r + 4.16666667e-2f;
  p = p * r + 1.66666667e-1f;
  p = p * r + 0.5f;
  p = (p * r) * r + r + 1.0f;
  const std::uint32_t power = (bits_as<std::uint32_t>(shifted) + 127u) << 23;  // 2^n
  return x < -87.3f ? 0.0f : p * bits_as<float>(power);
}

ACTORMIMIC_ROW_MATH double exp_nonpositive(double x) { return ::exp(x); }

ACTORMIMIC_ROW_MATH float natural_log(float x) { return ::logf(x); }
ACTORMIMIC_ROW_MATH double natural_log(double x) { return ::log(x); }

// The larger number; a NaN in `b` is dropped here and shows in the sums instead.
template <typename T>
ACTORMIMIC_ROW_MATH T larger(T a, T b) {
  return b > a ? b : a;
}

// (Q - max Q) / tau with a floor: with a tiny temperature the quotient would be -infinity, and the
// products of the reverse KL then infinity times zero.
template <typename T>
ACTORMIMIC_ROW_MATH T expert_exponent(T q, T q_max, T inverse_temperature) {
  const T x = (q - q_max) * inverse_temperature;
  return x < T(-1e30) ? T(-1e30) : x;
}

// p * value, and 0 where p is 0 even if the value is infinite: lim p->0 of p log p.
template <typename T>
ACTORMIMIC_ROW_MATH T weighted(T p, T value) {
  return p == T(0) ? T(0) : p * value;
}

// The value of a valid action, 0 for a masked one whatever it holds.
template <typename T>
ACTORMIMIC_ROW_MATH T mask_select(T mask, T value) {
  return mask != T(0) ? value : T(0);
}

// One action's share of the row's loss, for the objectives over policies.
template <Objective kObjective, typename T>
ACTORMIMIC_ROW_MATH T policy_term(T pi, T pi_expert, T y, T log_sum, T x, T log_sum_expert) {
  if (kObjective == Objective::kCrossEntropy) return weighted(pi_expert, log_sum - y);
  const T log_ratio = (y - log_sum) - (x - log_sum_expert);  // log pi - log pi_E
  if (kObjective == Objective::kKl) return weighted(pi_expert, -log_ratio);
  return weighted(pi, log_ratio);
}

// The row's loss differentiated by one logit. `loss` is the row's: the reverse KL needs it.
template <Objective kObjective, typename T>
ACTORMIMIC_ROW_MATH T policy_gradient(T pi, T pi_expert, T y, T log_sum, T x, T log_sum_expert,
                                      T loss) {
  if (kObjective != Objective::kReverseKl) return pi - pi_expert;
  return weighted(pi, (y - log_sum) - (x - log_sum_expert) - loss);
}

}  // namespace actormimic::ops
