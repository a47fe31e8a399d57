// The Actor-Mimic loss and its gradients in one pass (equations 3 to 6 of the paper).
//
//   policy  = sum over rows of weight * objective(row)          (equation 4, see Objective)
//   feature = sum over rows of weight * ||f - h_E||^2           (equation 5)
//   total   = policy + beta * feature_factor * feature          (equation 6)
// each divided by the number of rows if `mean` is set.
#pragma once

#include <cstdint>
#include <limits>

#include "ops/row_math.hpp"

namespace actormimic::ops {

struct DistillationSettings {
  Objective objective = Objective::kCrossEntropy;
  double temperature = 1.0;    // tau of equation 3: finite, > 0; plays no part in kMse
  double feature_scale = 0.0;  // beta * feature_factor: finite, >= 0
  bool mean = false;           // divide losses and gradients by the number of rows

  // Throws std::invalid_argument that names the setting, its value and what is allowed.
  void check() const;

  // The gradient of the features is written for `total`, so that its backward pass has nothing left
  // to do; with a feature_scale of 0 it is written for `feature`.
  ACTORMIMIC_INLINE double gradient_scale() const {
    return feature_scale == 0.0 ? 1.0 : feature_scale;
  }
};

// One matrix, row-major and without gaps, aligned to its element.
struct Input {
  const void* data = nullptr;
  ElementType type = ElementType::kFloat32;
};

// All memory is the caller's and is not kept. Inputs are never written and must not overlap
// outputs. Either every matrix has type float64 or none has; `Compute` below is float64 or else
// float32.
struct DistillationBatch {
  std::int64_t rows = 0;              // B
  std::int64_t features = 0;          // D; 0 without a feature loss
  Input logits;                       // [B, 18]
  Input expert_q;                     // [B, 18]
  const bool* action_mask = nullptr;  // [B, 18]
  Input predicted_features;           // [B, D]
  Input expert_features;              // [B, D]
  const void* weight = nullptr;       // [B] of Compute; null: every row counts once

  void* logits_gradient = nullptr;    // [B, 18] of the logits' type; null: not wanted
  void* features_gradient = nullptr;  // [B, D] of the predicted features' type; null: not wanted
  void* total = nullptr;              // [1] of Compute
  void* policy = nullptr;             // [1] of Compute
  void* feature = nullptr;            // [1] of Compute

  // Throws std::invalid_argument on negative sizes, missing memory and types that do not go
  // together.
  void check() const;
};

// Throws std::invalid_argument if either check() does, or if feature_scale is neither 0 nor a
// normal number of Compute: a smaller one would take the gradient of the features with it.
void check_call(const DistillationSettings& settings, const DistillationBatch& batch);

// What the kernels need of the settings, made once per call.
template <typename T>
struct RowFactors {
  T inverse_temperature;  // bounded by T's largest number: 0 times infinity would be NaN
  T row;                  // 1, or 1/B for the mean
  T feature_scale;        // of the total
  T gradient_scale;       // of the features' gradient

  ACTORMIMIC_INLINE RowFactors(const DistillationSettings& settings, std::int64_t rows)
      : inverse_temperature(bounded(1.0 / settings.temperature)),
        row(static_cast<T>(settings.mean ? 1.0 / static_cast<double>(rows) : 1.0)),
        feature_scale(static_cast<T>(settings.feature_scale)),
        gradient_scale(static_cast<T>(settings.gradient_scale())) {}

 private:
  static ACTORMIMIC_INLINE T bounded(double value) {
    constexpr double kLargest = std::numeric_limits<T>::max();
    return static_cast<T>(value < kLargest ? value : kLargest);
  }
};

// The instruction sets that the CPU kernels are compiled for, best last. All give the same bits.
enum class InstructionSet : int { kBaseline = 0, kAvx2 = 1, kAvx512 = 2 };

// The best one that this build has and this machine can run. Thread-safe.
InstructionSet best_instruction_set();

// Computes on the calling thread; allocates nothing. The same inputs give the same bits. NaN and
// +infinity in valid places show in the losses; masked places are never read into a sum, and their
// gradient is exactly 0. Throws std::invalid_argument for settings or a batch that
// check_call refuses and for a row without a valid action; then the outputs hold nothing of
// meaning.
void distillation_loss(const DistillationSettings& settings, const DistillationBatch& batch,
                       InstructionSet instruction_set = best_instruction_set());

}  // namespace actormimic::ops
