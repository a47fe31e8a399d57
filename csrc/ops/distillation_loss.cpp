#include "ops/distillation_loss.hpp"

#include <cmath>
#include <limits>

#include "common/check.hpp"
#include "common/processor.hpp"

namespace actormimic::ops {

// The kernel of each instruction set, see distillation_loss_cpu.hpp: returns the first row without
// a valid action, or -1.
using Kernel = std::int64_t(const DistillationSettings&, const DistillationBatch&);
namespace baseline {
Kernel distillation_loss;
}
#ifdef ACTORMIMIC_X86
namespace avx2 {
Kernel distillation_loss;
}
namespace avx512 {
Kernel distillation_loss;
}
#endif

namespace {

Kernel* kernel_of(InstructionSet instruction_set) {
#ifdef ACTORMIMIC_X86
  if (instruction_set == InstructionSet::kAvx512) return &avx512::distillation_loss;
  if (instruction_set == InstructionSet::kAvx2) return &avx2::distillation_loss;
#else
  (void)instruction_set;
#endif
  return &baseline::distillation_loss;
}

void check_matrix(const char* name, const Input& input, std::int64_t elements, bool float64) {
  require(input.data || elements == 0, name, " has no memory");
  const int type = static_cast<int>(input.type);
  require(0 <= type && type <= static_cast<int>(ElementType::kFloat64), name, " has element type ",
          type, "; allowed: 0 to 3");
  require((input.type == ElementType::kFloat64) == float64, name,
          " disagrees with logits about float64; allowed: every matrix or none");
}

}  // namespace

void DistillationSettings::check() const {
  const int number = static_cast<int>(objective);
  require_range("objective", number, 0, 3);
  require(std::isfinite(temperature) && temperature > 0.0, "temperature is ", temperature,
          "; allowed: finite numbers > 0");
  require(std::isfinite(feature_scale) && feature_scale >= 0.0, "beta * feature_factor is ",
          feature_scale, "; allowed: finite numbers >= 0");
}

void DistillationBatch::check() const {
  require(rows >= 0, "rows is ", rows, "; allowed: 0 or more");
  require(features >= 0, "features is ", features, "; allowed: 0 or more");
  const bool float64 = logits.type == ElementType::kFloat64;
  check_matrix("logits", logits, rows, float64);
  check_matrix("expert_q", expert_q, rows, float64);
  require(action_mask || rows == 0, "action_mask has no memory");
  if (features > 0) {
    check_matrix("predicted_features", predicted_features, rows, float64);
    check_matrix("expert_features", expert_features, rows, float64);
  }
  require(total && policy && feature, "total, policy and feature need memory for one number each");
}

void check_call(const DistillationSettings& settings, const DistillationBatch& batch) {
  settings.check();
  batch.check();
  const bool float64 = batch.logits.type == ElementType::kFloat64;
  const double least =
      float64 ? std::numeric_limits<double>::min() : std::numeric_limits<float>::min();
  const double most =
      float64 ? std::numeric_limits<double>::max() : std::numeric_limits<float>::max();
  const double scale = settings.feature_scale;
  require(scale == 0.0 || (least <= scale && scale <= most), "beta * feature_factor is ", scale,
          "; allowed in ", float64 ? "float64" : "float32", ": 0, or ", least, " to ", most);
}

InstructionSet best_instruction_set() {
#ifdef ACTORMIMIC_X86
  if (has_avx512()) return InstructionSet::kAvx512;
  return has_avx2() ? InstructionSet::kAvx2 : InstructionSet::kBaseline;
#else
  return InstructionSet::kBaseline;
#endif
}

void distillation_loss(const DistillationSettings& settings, const DistillationBatch& batch,
                       InstructionSet instruction_set) {
  check_call(settings, batch);
  require(instruction_set <= best_instruction_set(), "instruction_set is ",
          static_cast<int>(instruction_set), "; this machine runs at most ",
          static_cast<int>(best_instruction_set()));
  const std::int64_t invalid = kernel_of(instruction_set)(settings, batch);
  require(invalid < 0, "action_mask row ", invalid, " has no valid action; allowed: 1 to ",
          kActions);
}

}  // namespace actormimic::ops
