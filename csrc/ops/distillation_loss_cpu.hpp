// The CPU kernel, written for a block of rows side by side so that the compiler turns every inner
// loop into SIMD. It is compiled once per instruction set: the including file names the set in
// ACTORMIMIC_INSTRUCTION_SET, and everything here but the entry point has internal linkage.
//
// No sum depends on the width of a register: rows are added in order, in float64, and a row's
// features in kLanes interleaved sums. With contraction into fused multiply-adds switched off,
// every instruction set therefore gives the same bits.
#pragma once

#include <cstdint>

#include "ops/distillation_loss.hpp"

namespace actormimic::ops::ACTORMIMIC_INSTRUCTION_SET {

namespace {

constexpr int kLanes = 16;

// Row-major [rows, 18] to [18][kLanes], one row per lane; the lanes past `rows` repeat the last
// row.
template <typename Element, typename T>
void load_block(const Element* from, int rows, T (*to)[kLanes]) {
  for (int lane = 0; lane < kLanes; ++lane) {
    const Element* row = from + (lane < rows ? lane : rows - 1) * kActions;
    for (int a = 0; a < kActions; ++a) to[a][lane] = to_compute(row[a]);
  }
}

template <typename T>
void load_block(const Input& from, std::int64_t row, int rows, T (*to)[kLanes]) {
  const std::int64_t first = row * kActions;
  switch (from.type) {
    case ElementType::kBFloat16:
      return load_block(static_cast<const BFloat16*>(from.data) + first, rows, to);
    case ElementType::kFloat16:
      return load_block(static_cast<const Float16*>(from.data) + first, rows, to);
    default:
      return load_block(static_cast<const T*>(from.data) + first, rows, to);
  }
}

template <typename T, typename Element>
void store_block(const T (*from)[kLanes], int rows, Element* to) {
  for (int lane = 0; lane < rows; ++lane)
    for (int a = 0; a < kActions; ++a) store(from[a][lane], to + lane * kActions + a);
}

template <typename T>
void store_block(const T (*from)[kLanes], std::int64_t row, int rows, ElementType type, void* to) {
  const std::int64_t first = row * kActions;
  switch (type) {
    case ElementType::kBFloat16:
      return store_block(from, rows, static_cast<BFloat16*>(to) + first);
    case ElementType::kFloat16:
      return store_block(from, rows, static_cast<Float16*>(to) + first);
    default:
      return store_block(from, rows, static_cast<T*>(to) + first);
  }
}

// The block's inputs, lane by lane; `gradient` may be the memory of none of them.
template <typename T>
struct Block {
  alignas(64) T logits[kActions][kLanes];
  alignas(64) T expert_q[kActions][kLanes];
  alignas(64) T mask[kActions][kLanes];      // 1 where valid, else 0
  alignas(64) T gradient[kActions][kLanes];  // unweighted
  alignas(64) T valid[kLanes];               // number of valid actions
  alignas(64) T loss[kLanes];                // unweighted
};

// exp(value - its maximum over the valid actions), the sum of those and its logarithm.
template <typename T>
struct Softmax {
  alignas(64) T exponent[kActions][kLanes];
  alignas(64) T probability[kActions][kLanes];
  alignas(64) T log_sum[kLanes];

  // `expert`: exponents are divided by the temperature and bounded below.
  template <bool kExpert>
  void compute(const T (*values)[kLanes], const T (*mask)[kLanes], T inverse_temperature) {
    alignas(64) T max[kLanes], sum[kLanes];
    for (int l = 0; l < kLanes; ++l) {
      max[l] = -static_cast<T>(HUGE_VAL);
      sum[l] = T(0);
    }
    for (int a = 0; a < kActions; ++a)
      for (int l = 0; l < kLanes; ++l)
        max[l] = mask[a][l] != T(0) ? larger(max[l], values[a][l]) : max[l];
    for (int a = 0; a < kActions; ++a)
      for (int l = 0; l < kLanes; ++l) {
        const T x = kExpert ? expert_exponent(values[a][l], max[l], inverse_temperature)
                            : values[a][l] - max[l];
        // A masked value may be anything, also above the maximum or NaN.
        exponent[a][l] = mask[a][l] != T(0) ? x : T(0);
      }
    for (int a = 0; a < kActions; ++a)
      for (int l = 0; l < kLanes; ++l) {
        const T e = exp_nonpositive(exponent[a][l]);
        probability[a][l] = mask[a][l] != T(0) ? e : T(0);
        sum[l] += probability[a][l];
      }
    for (int l = 0; l < kLanes; ++l) log_sum[l] = natural_log(sum[l]);
    for (int l = 0; l < kLanes; ++l) sum[l] = T(1) / sum[l];
    for (int a = 0; a < kActions; ++a)
      for (int l = 0; l < kLanes; ++l) probability[a][l] *= sum[l];
  }
};

template <Objective kObjective, typename T>
void policy_block(T inverse_temperature, Block<T>& b) {
  Softmax<T> student, expert;
  student.template compute<false>(b.logits, b.mask, T(1));
  expert.template compute<true>(b.expert_q, b.mask, inverse_temperature);
  for (int a = 0; a < kActions; ++a)
    for (int l = 0; l < kLanes; ++l) {
      const T term = policy_term<kObjective>(student.probability[a][l], expert.probability[a][l],
                                             student.exponent[a][l], student.log_sum[l],
                                             expert.exponent[a][l], expert.log_sum[l]);
      b.loss[l] += mask_select(b.mask[a][l], term);
    }
  for (int a = 0; a < kActions; ++a)
    for (int l = 0; l < kLanes; ++l) {
      const T gradient = policy_gradient<kObjective>(
          student.probability[a][l], expert.probability[a][l], student.exponent[a][l],
          student.log_sum[l], expert.exponent[a][l], expert.log_sum[l], b.loss[l]);
      b.gradient[a][l] = mask_select(b.mask[a][l], gradient);
    }
}

template <typename T>
void mse_block(Block<T>& b) {
  for (int a = 0; a < kActions; ++a)
    for (int l = 0; l < kLanes; ++l) {
      const T difference = mask_select(b.mask[a][l], b.logits[a][l] - b.expert_q[a][l]);
      b.loss[l] += difference * difference;
      b.gradient[a][l] = T(2) * difference / b.valid[l];
    }
  for (int l = 0; l < kLanes; ++l) b.loss[l] /= b.valid[l];
}

// Adds a row's squared distance up and writes its gradient, coefficient * (f - h_E).
template <bool kGradient, typename T, typename Predicted, typename Expert>
T feature_row(const Predicted* predicted, const Expert* expert, std::int64_t features,
              T coefficient, Predicted* gradient) {
  alignas(64) T sum[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= features; i += kLanes)
  // Unrolled, the sums stay in registers from one turn to the next.
#pragma GCC unroll 16
    for (int l = 0; l < kLanes; ++l) {
      const T difference = to_compute(predicted[i + l]) - to_compute(expert[i + l]);
      sum[l] += difference * difference;
      if (kGradient) store(coefficient * difference, gradient + i + l);
    }
  for (int l = 0; i + l < features; ++l) {
    const T difference = to_compute(predicted[i + l]) - to_compute(expert[i + l]);
    sum[l] += difference * difference;
    if (kGradient) store(coefficient * difference, gradient + i + l);
  }
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int l = 0; l < width; ++l) sum[l] += sum[l + width];
  return sum[0];
}

template <typename T, typename Predicted, typename Expert>
double feature_rows(const DistillationBatch& batch, const RowFactors<T>& factors) {
  const auto* predicted = static_cast<const Predicted*>(batch.predicted_features.data);
  const auto* expert = static_cast<const Expert*>(batch.expert_features.data);
  auto* gradient = static_cast<Predicted*>(batch.features_gradient);
  const auto* weight = static_cast<const T*>(batch.weight);
  double sum = 0.0;
  for (std::int64_t row = 0; row < batch.rows; ++row) {
    const T row_weight = factors.row * (weight ? weight[row] : T(1));
    const T coefficient = T(2) * factors.gradient_scale * row_weight;
    const std::int64_t at = row * batch.features;
    const T squared = gradient ? feature_row<true>(predicted + at, expert + at, batch.features,
                                                   coefficient, gradient + at)
                               : feature_row<false>(predicted + at, expert + at, batch.features,
                                                    coefficient, static_cast<Predicted*>(nullptr));
    sum += static_cast<double>(squared) * row_weight;
  }
  return sum;
}

template <typename Predicted>
double feature_rows_of(const DistillationBatch& batch, const RowFactors<float>& factors) {
  switch (batch.expert_features.type) {
    case ElementType::kBFloat16:
      return feature_rows<float, Predicted, BFloat16>(batch, factors);
    case ElementType::kFloat16:
      return feature_rows<float, Predicted, Float16>(batch, factors);
    default:
      return feature_rows<float, Predicted, float>(batch, factors);
  }
}

double feature_loss(const DistillationBatch& batch, const RowFactors<float>& factors) {
  switch (batch.predicted_features.type) {
    case ElementType::kBFloat16:
      return feature_rows_of<BFloat16>(batch, factors);
    case ElementType::kFloat16:
      return feature_rows_of<Float16>(batch, factors);
    default:
      return feature_rows_of<float>(batch, factors);
  }
}

double feature_loss(const DistillationBatch& batch, const RowFactors<double>& factors) {
  return feature_rows<double, double, double>(batch, factors);
}

template <typename T>
void compute_block(Objective objective, T inverse_temperature, Block<T>& block) {
  switch (objective) {
    case Objective::kCrossEntropy:
      return policy_block<Objective::kCrossEntropy>(inverse_temperature, block);
    case Objective::kKl:
      return policy_block<Objective::kKl>(inverse_temperature, block);
    case Objective::kReverseKl:
      return policy_block<Objective::kReverseKl>(inverse_temperature, block);
    case Objective::kMse:
      return mse_block(block);
  }
}

// Adds the policy's losses to `sum` and writes their gradients. Returns the first row without a
// valid action, or -1.
template <typename T>
std::int64_t policy_loss(Objective objective, const DistillationBatch& batch,
                         const RowFactors<T>& factors, double& sum) {
  Block<T> block;
  const auto* weight = static_cast<const T*>(batch.weight);
  for (std::int64_t row = 0; row < batch.rows; row += kLanes) {
    const int rows = static_cast<int>(batch.rows - row < kLanes ? batch.rows - row : kLanes);
    load_block(batch.logits, row, rows, block.logits);
    load_block(batch.expert_q, row, rows, block.expert_q);
    load_block(batch.action_mask + row * kActions, rows, block.mask);
    for (int l = 0; l < kLanes; ++l) block.loss[l] = block.valid[l] = T(0);
    for (int a = 0; a < kActions; ++a)
      for (int l = 0; l < kLanes; ++l) block.valid[l] += block.mask[a][l];
    for (int l = 0; l < rows; ++l)
      if (block.valid[l] == T(0)) return row + l;
    compute_block(objective, factors.inverse_temperature, block);
    alignas(64) T row_weight[kLanes];
    for (int l = 0; l < kLanes; ++l)
      row_weight[l] = factors.row * (weight ? weight[row + (l < rows ? l : rows - 1)] : T(1));
    for (int l = 0; l < rows; ++l) sum += static_cast<double>(block.loss[l]) * row_weight[l];
    if (!batch.logits_gradient) continue;
    for (int a = 0; a < kActions; ++a)
      for (int l = 0; l < kLanes; ++l)
        block.gradient[a][l] = mask_select(block.mask[a][l], block.gradient[a][l] * row_weight[l]);
    store_block(block.gradient, row, rows, batch.logits.type, batch.logits_gradient);
  }
  return -1;
}

template <typename T>
std::int64_t run(const DistillationSettings& settings, const DistillationBatch& batch) {
  const RowFactors<T> factors(settings, batch.rows);
  // An empty batch has the sum 0 and, like every mean of nothing, the mean NaN.
  const double nothing = batch.rows > 0 || !settings.mean ? 0.0 : static_cast<double>(NAN);
  double policy = nothing;
  const std::int64_t invalid = policy_loss(settings.objective, batch, factors, policy);
  if (invalid >= 0) return invalid;
  const double feature = batch.features > 0 ? nothing + feature_loss(batch, factors) : 0.0;
  *static_cast<T*>(batch.policy) = static_cast<T>(policy);
  *static_cast<T*>(batch.feature) = static_cast<T>(feature);
  *static_cast<T*>(batch.total) = static_cast<T>(policy + factors.feature_scale * feature);
  return -1;
}

}  // namespace

std::int64_t distillation_loss(const DistillationSettings& settings,
                               const DistillationBatch& batch) {
  return batch.logits.type == ElementType::kFloat64 ? run<double>(settings, batch)
                                                    : run<float>(settings, batch);
}

}  // namespace actormimic::ops::ACTORMIMIC_INSTRUCTION_SET
