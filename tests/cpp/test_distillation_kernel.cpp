// The CUDA kernel of the distillation loss, run on the CPU, against the CPU kernel.
#include <cmath>
#include <cstring>
#include <vector>

#include "check.hpp"
#include "cuda_on_host.hpp"
#include "ops/distillation_loss.hpp"
#include "ops/distillation_loss_kernel.cuh"

using namespace actormimic::ops;

namespace {

// Reproducible numbers of about unit size.
struct Numbers {
  std::uint32_t state = 1;
  float next() {
    state = state * 1664525u + 1013904223u;
    return static_cast<float>(static_cast<std::int32_t>(state)) * 0x1p-30f;
  }
};

template <typename Element>
ElementType type_of();
template <>
ElementType type_of<float>() {
  return ElementType::kFloat32;
}
template <>
ElementType type_of<BFloat16>() {
  return ElementType::kBFloat16;
}
template <>
ElementType type_of<Float16>() {
  return ElementType::kFloat16;
}
template <>
ElementType type_of<double>() {
  return ElementType::kFloat64;
}

template <typename Element>
struct alignas(16) Matrix {
  explicit Matrix(std::int64_t size, Numbers* numbers = nullptr) : values(size + 16) {
    if (numbers)
      for (auto& value : values) fill(numbers->next(), &value);
  }
  static void fill(float from, double* to) { *to = from; }
  template <typename T>
  static void fill(float from, T* to) {
    store(from, to);
  }
  Element* data() {
    const auto address = reinterpret_cast<std::uintptr_t>(values.data());
    return reinterpret_cast<Element*>((address + 15) / 16 * 16);
  }
  std::vector<Element> values;
};

template <typename T, typename Predicted, typename Expert>
struct Problem {
  Problem(std::int64_t rows, std::int64_t features)
      : logits(rows * kActions, &numbers),
        expert_q(rows * kActions, &numbers),
        predicted(rows * features, &numbers),
        expert(rows * features, &numbers),
        weight(rows, &numbers),
        mask(new bool[rows * kActions + 1]) {
    for (std::int64_t i = 0; i < rows * kActions; ++i)
      mask[i] = i % kActions == i / kActions % kActions || numbers.next() > 0.0f;
    batch.rows = rows;
    batch.features = features;
    batch.logits = {logits.data(), type_of<T>()};
    batch.expert_q = {expert_q.data(), type_of<T>()};
    batch.action_mask = mask.get();
    batch.predicted_features = {predicted.data(), type_of<Predicted>()};
    batch.expert_features = {expert.data(), type_of<Expert>()};
    batch.weight = weight.data();
  }

  Numbers numbers;
  Matrix<T> logits, expert_q;
  Matrix<Predicted> predicted;
  Matrix<Expert> expert;
  Matrix<T> weight;
  std::unique_ptr<bool[]> mask;
  DistillationBatch batch;
};

template <typename T, typename Predicted>
struct Result {
  Result(DistillationBatch& batch, bool gradients)
      : by_logits(batch.rows * kActions), by_features(batch.rows * batch.features) {
    batch.total = &losses[0];
    batch.policy = &losses[1];
    batch.feature = &losses[2];
    batch.logits_gradient = gradients ? by_logits.data() : nullptr;
    batch.features_gradient = gradients ? by_features.data() : nullptr;
  }
  T losses[3];
  Matrix<T> by_logits;
  Matrix<Predicted> by_features;
};

template <int kSize, typename T, typename Predicted, typename Expert>
void run_kernel(const DistillationSettings& settings, const DistillationBatch& batch,
                unsigned blocks, int workspace) {
  const RowFactors<T> factors(settings, batch.rows);
  cuda_on_host::launch(blocks, cuda::kThreads, [&] {
    cuda::distillation_kernel<T, Predicted, Expert, kSize>(batch, settings.objective, factors,
                                                           workspace);
  });
}

// Sums in another order and fused multiply-adds: a few roundings of float32 apart.
bool close(double a, double b, double tolerance) {
  return std::fabs(a - b) <= tolerance * (1.0 + std::fabs(b));
}

template <int kSize, typename T, typename Predicted, typename Expert>
void compare(std::int64_t rows, std::int64_t features, unsigned blocks,
             DistillationSettings settings, bool gradients = true) {
  Problem<T, Predicted, Expert> problem(rows, features);
  DistillationBatch expected_batch = problem.batch;
  Result<T, Predicted> expected(expected_batch, gradients), found(problem.batch, gradients);
  distillation_loss(settings, expected_batch);
  run_kernel<kSize, T, Predicted, Expert>(settings, problem.batch, blocks, 7);
  const double tolerance = sizeof(T) == 8 ? 1e-12 : 2e-6;
  // Half types: a gradient that rounds the other way is half a unit of bfloat16 off, 2^-8.
  const double stored = sizeof(Predicted) == 2 ? 0x1p-8 : tolerance;
  for (int i = 0; i < 3; ++i) CHECK(close(found.losses[i], expected.losses[i], tolerance));
  if (!gradients) return;
  for (std::int64_t i = 0; i < rows * kActions; ++i) {
    CHECK(close(found.by_logits.data()[i], expected.by_logits.data()[i], tolerance));
    if (!problem.mask[i]) CHECK(found.by_logits.data()[i] == T(0));
  }
  for (std::int64_t i = 0; i < rows * features; ++i)
    CHECK(close(to_compute(found.by_features.data()[i]), to_compute(expected.by_features.data()[i]),
                stored));
}

DistillationSettings settings_of(Objective objective, bool mean = false) {
  DistillationSettings settings;
  settings.objective = objective;
  settings.temperature = 0.5;
  settings.feature_scale = 0.01;
  settings.mean = mean;
  return settings;
}

}  // namespace

TEST(every_objective_over_several_blocks) {
  for (int objective = 0; objective < 4; ++objective)
    for (bool mean : {false, true})
      compare<4, float, float, float>(41, 512, 3,
                                      settings_of(static_cast<Objective>(objective), mean));
}

TEST(sizes_that_do_not_fill_packs_warps_or_depth) {
  const DistillationSettings settings = settings_of(Objective::kCrossEntropy);
  for (std::int64_t rows : {1, 7, 8, 9, 33})
    for (std::int64_t features : {1, 31, 41, 401, 1271})
      compare<1, float, float, float>(rows, features, 2, settings);
  for (std::int64_t features : {4, 124, 132, 508, 516, 1024, 1028})
    compare<4, float, float, float>(9, features, 2, settings);
  compare<4, float, float, float>(9, 0, 2, settings);
}

TEST(every_pair_of_types) {
  const DistillationSettings settings = settings_of(Objective::kKl);
  compare<8, float, float, BFloat16>(9, 264, 2, settings);
  compare<8, float, float, Float16>(9, 264, 2, settings);
  compare<8, float, BFloat16, float>(9, 264, 2, settings);
  compare<8, float, BFloat16, BFloat16>(9, 520, 2, settings);
  compare<8, float, BFloat16, Float16>(9, 264, 2, settings);
  compare<8, float, Float16, float>(9, 264, 2, settings);
  compare<8, float, Float16, BFloat16>(9, 264, 2, settings);
  compare<8, float, Float16, Float16>(9, 1032, 2, settings);
  compare<2, double, double, double>(9, 266, 2, settings);
}

TEST(losses_without_gradients) {
  compare<4, float, float, float>(17, 64, 2, settings_of(Objective::kReverseKl), false);
}

TEST(the_same_bits_from_launch_to_launch) {
  Problem<float, float, float> problem(57, 128);
  const DistillationSettings settings = settings_of(Objective::kCrossEntropy);
  Result<float, float> result(problem.batch, true);
  float first[3];
  for (int i = 0; i < 3; ++i) {
    run_kernel<4, float, float, float>(settings, problem.batch, 5, 0);
    CHECK(cuda::workspaces[0].finished == 0);
    if (i == 0) std::memcpy(first, result.losses, sizeof(first));
    CHECK(std::memcmp(first, result.losses, sizeof(first)) == 0);
  }
}

TEST(an_empty_batch_has_losses) {
  for (bool mean : {false, true}) {
    Problem<float, float, float> problem(0, 16);
    Result<float, float> result(problem.batch, true);
    run_kernel<4, float, float, float>(settings_of(Objective::kMse, mean), problem.batch, 1, 0);
    for (const float loss : result.losses) CHECK(mean ? std::isnan(loss) : loss == 0.0f);
  }
}

TEST(a_row_without_a_valid_action_gives_nan) {
  for (int objective = 0; objective < 4; ++objective) {
    Problem<float, float, float> problem(5, 16);
    for (int a = 0; a < kActions; ++a) problem.mask[2 * kActions + a] = false;
    Result<float, float> result(problem.batch, true);
    run_kernel<4, float, float, float>(settings_of(static_cast<Objective>(objective)),
                                       problem.batch, 1, 0);
    CHECK(std::isnan(result.losses[0]));
    CHECK(std::isnan(result.losses[1]));
    CHECK(std::isfinite(result.losses[2]));
    for (int a = 0; a < kActions; ++a) CHECK(result.by_logits.data()[2 * kActions + a] == 0.0f);
  }
}

TEST(nan_shows_in_every_place) {
  for (int a = 0; a < kActions; ++a)
    for (bool student : {false, true}) {
      Problem<float, float, float> problem(3, 16);
      for (int i = 0; i < kActions; ++i) problem.mask[kActions + i] = true;
      (student ? problem.logits : problem.expert_q).data()[kActions + a] = NAN;
      Result<float, float> result(problem.batch, true);
      run_kernel<4, float, float, float>(settings_of(Objective::kCrossEntropy), problem.batch, 1,
                                         0);
      CHECK(std::isnan(result.losses[1]));
      CHECK(std::isnan(result.by_logits.data()[kActions + a]));
      CHECK(std::isfinite(result.by_logits.data()[0]));
    }
}
