// The row mathematics that CPU and CUDA share: conversions, the exponential, the instruction sets.
#include "ops/row_math.hpp"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "ops/distillation_loss.hpp"

using namespace actormimic::ops;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The value of an IEEE number with these fields, from its definition.
double value_of(std::uint16_t bits, int exponent_bits, int mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = bits >> mantissa_bits & ((1 << exponent_bits) - 1);
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  const double sign = bits >> 15 ? -1.0 : 1.0;
  if (exponent == (1 << exponent_bits) - 1) return mantissa ? std::nan("") : sign * kInfinity;
  const double fraction = std::ldexp(mantissa, -mantissa_bits);
  return sign *
         (exponent ? std::ldexp(1.0 + fraction, exponent - bias) : std::ldexp(fraction, 1 - bias));
}

// Widening is exact and narrowing undoes it for all 65,536 numbers; between two neighbors the
// nearer one is chosen, at half way the even one.
template <typename Half>
void check_conversions(int exponent_bits, int mantissa_bits) {
  for (unsigned bits = 0; bits < 0x10000u; ++bits) {
    const Half half{static_cast<std::uint16_t>(bits)};
    const double expected = value_of(half.bits, exponent_bits, mantissa_bits);
    const float wide = to_compute(half);
    Half back;
    store(wide, &back);
    if (std::isnan(expected)) {
      CHECK(std::isnan(wide));
      CHECK(std::isnan(to_compute(back)));
      continue;
    }
    CHECK(static_cast<double>(wide) == expected);
    CHECK(back.bits == half.bits);
    const Half next{static_cast<std::uint16_t>(bits + 1)};
    const double above = value_of(next.bits, exponent_bits, mantissa_bits);
    if ((bits & 0x7fffu) == 0x7fffu || !std::isfinite(expected) || !std::isfinite(above)) continue;
    const float middle = static_cast<float>((expected + above) / 2);
    if (static_cast<double>(middle) != (expected + above) / 2) continue;  // below float's range
    store(middle, &back);
    CHECK(back.bits == (bits & 1u ? next.bits : half.bits));
    store(std::nextafter(middle, bits & 0x8000u ? -kInfinity : kInfinity), &back);
    CHECK(back.bits == next.bits);
    store(std::nextafter(middle, 0.0f), &back);
    CHECK(back.bits == half.bits);
  }
}

}  // namespace

TEST(bfloat16_converts_exactly) { check_conversions<BFloat16>(8, 7); }

TEST(float16_converts_exactly) { check_conversions<Float16>(5, 10); }

TEST(float16_beyond_its_range_is_infinity) {
  Float16 half;
  store(65520.0f, &half);
  CHECK(half.bits == 0x7c00u);
  store(std::nextafter(65520.0f, 0.0f), &half);
  CHECK(half.bits == 0x7bffu);
  store(-3e38f, &half);
  CHECK(half.bits == 0xfc00u);
}

TEST(the_exponential_is_within_two_units_in_the_last_place) {
  double worst = 0.0;
  for (float x = 0.0f; x > -87.3f; x -= 0.00037f) {
    const double exact = std::exp(static_cast<double>(x));
    worst = std::max(worst, std::fabs(exp_nonpositive(x) - exact) / exact);
  }
  CHECK(worst < 2.0 * std::numeric_limits<float>::epsilon());
  CHECK(exp_nonpositive(0.0f) == 1.0f);
  CHECK(exp_nonpositive(-88.0f) == 0.0f);
  CHECK(exp_nonpositive(-3e38f) == 0.0f);
  CHECK(exp_nonpositive(-kInfinity) == 0.0f);
  CHECK(std::isnan(exp_nonpositive(std::nanf(""))));
}

TEST(a_probability_of_zero_silences_infinity_but_not_nan) {
  CHECK(weighted(0.0f, kInfinity) == 0.0f);
  CHECK(std::isnan(weighted(std::nanf(""), 1.0f)));
  CHECK(std::isnan(weighted(0.5f, std::nanf(""))));
}

TEST(every_instruction_set_gives_the_same_bits) {
  std::mt19937 generator(1);
  std::normal_distribution<float> normal(0.0f, 3.0f);
  const std::int64_t rows = 37, features = 83;
  std::vector<float> z(rows * kActions), q(z.size()), f(rows * features), h(f.size());
  for (auto* values : {&z, &q, &f, &h})
    for (float& value : *values) value = normal(generator);
  std::vector<char> mask(z.size());
  for (std::size_t i = 0; i < mask.size(); ++i) mask[i] = i % 18 == 3 || generator() % 3 == 0;
  for (int objective = 0; objective < 4; ++objective) {
    std::vector<float> expected;
    for (int set = 0; set <= static_cast<int>(best_instruction_set()); ++set) {
      DistillationSettings settings;
      settings.objective = static_cast<Objective>(objective);
      settings.temperature = 0.3;
      settings.feature_scale = 0.01;
      std::vector<float> out(3 + z.size() + f.size());
      DistillationBatch batch;
      batch.rows = rows;
      batch.features = features;
      batch.logits.data = z.data();
      batch.expert_q.data = q.data();
      batch.action_mask = reinterpret_cast<const bool*>(mask.data());
      batch.predicted_features.data = f.data();
      batch.expert_features.data = h.data();
      batch.total = &out[0];
      batch.policy = &out[1];
      batch.feature = &out[2];
      batch.logits_gradient = &out[3];
      batch.features_gradient = &out[3 + z.size()];
      distillation_loss(settings, batch, static_cast<InstructionSet>(set));
      if (set == 0) expected = out;
      CHECK(std::memcmp(out.data(), expected.data(), out.size() * sizeof(float)) == 0);
    }
  }
}

TEST(bad_arguments_are_refused) {
  DistillationSettings settings;
  DistillationBatch batch;
  float loss[3];
  batch.total = &loss[0];
  batch.policy = &loss[1];
  batch.feature = &loss[2];
  distillation_loss(settings, batch);  // an empty batch is none
  settings.temperature = 0.0;
  CHECK_THROWS(distillation_loss(settings, batch), std::invalid_argument);
  settings.temperature = 1.0;
  settings.objective = static_cast<Objective>(4);
  CHECK_THROWS(distillation_loss(settings, batch), std::invalid_argument);
  settings.objective = Objective::kKl;
  settings.feature_scale = -1.0;
  CHECK_THROWS(distillation_loss(settings, batch), std::invalid_argument);
  settings.feature_scale = 0.0;
  batch.rows = -1;
  CHECK_THROWS(distillation_loss(settings, batch), std::invalid_argument);
  batch.rows = 1;
  CHECK_THROWS(distillation_loss(settings, batch), std::invalid_argument);  // no memory
  batch.rows = 0;
  batch.expert_q.type = ElementType::kFloat64;
  CHECK_THROWS(distillation_loss(settings, batch), std::invalid_argument);
  batch.expert_q.type = ElementType::kFloat32;
  batch.total = nullptr;
  CHECK_THROWS(distillation_loss(settings, batch), std::invalid_argument);
  batch.total = &loss[0];
  CHECK_THROWS(distillation_loss(settings, batch, static_cast<InstructionSet>(3)),
               std::invalid_argument);
}
