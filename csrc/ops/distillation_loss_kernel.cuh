// The CUDA kernel of the Actor-Mimic loss: one launch for losses and gradients.
//
// A warp takes a row at a time: one action per thread for the policy part, 16-byte pieces of the
// features in turn for the feature part. Order: device helpers, the row, the reduction, the kernel.
// The launcher is in distillation_loss.cu; this file has no host code, so that the tests can run it
// on the CPU, thread by thread.
//
// Deterministic: every sum has a fixed order for given sizes, multiprocessors and alignment
// (whether the features can be read 16 bytes at a time). Blocks leave their sums in a workspace,
// and whichever block finishes last adds them up by block number.
#pragma once

#include <cstdint>

#include "ops/distillation_loss.hpp"
#include "ops/pack.cuh"

namespace actormimic::ops::cuda {

constexpr int kWarpSize = 32;
constexpr int kWarps = 8;  // of a block
constexpr int kThreads = kWarps * kWarpSize;
constexpr int kMaxBlocks = 1024;
constexpr int kBlocksPerMultiprocessor = 3;
constexpr unsigned kFullWarp = 0xffffffffu;

// One launch's scratch memory. Launches that can run at the same time need one each.
struct Workspace {
  unsigned finished;  // blocks that have left their sums; the last one leaves 0 behind
  double policy[kMaxBlocks];
  double feature[kMaxBlocks];
};

// Device memory of the module itself, zero when it is loaded, with its first launch at the latest:
// no launch allocates or clears it, not even within the capture of a graph.
constexpr int kWorkspaces = 256;
__device__ Workspace workspaces[kWorkspaces];

// The butterfly over groups of kLanes threads gives every thread of a group the same bits, since
// a + b = b + a.
template <int kLanes = kWarpSize, typename T>
__device__ T warp_sum(T value) {
#pragma unroll
  for (int offset = kLanes / 2; offset > 0; offset /= 2)
    value += __shfl_xor_sync(kFullWarp, value, offset);
  return value;
}

template <typename T>
__device__ T warp_max(T value) {
#pragma unroll
  for (int offset = kWarpSize / 2; offset > 0; offset /= 2)
    value = larger(value, __shfl_xor_sync(kFullWarp, value, offset));
  return value;
}

// The element type of the policy's 18 numbers is looked up at run time, alike in the whole warp:
// they are few, and templates over their types would give nine times as many kernels.
template <typename T>
__device__ T load_element(const Input& input, std::int64_t at) {
  switch (input.type) {
    case ElementType::kBFloat16:
      return to_compute(static_cast<const BFloat16*>(input.data)[at]);
    case ElementType::kFloat16:
      return to_compute(static_cast<const Float16*>(input.data)[at]);
    default:
      return static_cast<const T*>(input.data)[at];
  }
}

template <typename T>
__device__ void store_element(T value, ElementType type, void* to, std::int64_t at) {
  switch (type) {
    case ElementType::kBFloat16:
      return store(static_cast<float>(value), static_cast<BFloat16*>(to) + at);
    case ElementType::kFloat16:
      return store(static_cast<float>(value), static_cast<Float16*>(to) + at);
    default:
      return store(value, static_cast<T*>(to) + at);
  }
}

// This thread's action of the row: what the warp knows about it after the two softmaxes.
template <typename T>
struct Action {
  T y, pi, log_sum;                // student, see row_math.hpp
  T x, pi_expert, log_sum_expert;  // expert
};

template <typename T>
__device__ Action<T> softmaxes(T z, T q, bool valid, T inverse_temperature) {
  Action<T> action;
  const T lowest = -static_cast<T>(INFINITY);
  const T z_max = warp_max(valid ? larger(lowest, z) : lowest);
  const T q_max = warp_max(valid ? larger(lowest, q) : lowest);
  action.y = valid ? z - z_max : T(0);
  action.x = valid ? expert_exponent(q, q_max, inverse_temperature) : T(0);
  const T student = valid ? exp_nonpositive(action.y) : T(0);
  const T expert = valid ? exp_nonpositive(action.x) : T(0);
  const T sum = warp_sum(student);
  const T sum_expert = warp_sum(expert);
  action.log_sum = natural_log(sum);
  action.log_sum_expert = natural_log(sum_expert);
  action.pi = student / sum;
  action.pi_expert = expert / sum_expert;
  return action;
}

template <Objective kObjective, typename T>
__device__ T policy_of(const Action<T>& a, bool valid, T& gradient) {
  const T term = policy_term<kObjective>(a.pi, a.pi_expert, a.y, a.log_sum, a.x, a.log_sum_expert);
  const T loss = warp_sum(valid ? term : T(0));
  gradient =
      policy_gradient<kObjective>(a.pi, a.pi_expert, a.y, a.log_sum, a.x, a.log_sum_expert, loss);
  return loss;
}

// The row's unweighted policy loss, the same in every thread, and this thread's gradient. A row
// without a valid action gives NaN, because nobody waits for the device to raise an error.
template <typename T>
__device__ T policy_row(Objective objective, T z, T q, bool valid, T inverse_temperature,
                        T& gradient) {
  const T count = static_cast<T>(__popc(__ballot_sync(kFullWarp, valid)));
  T loss;
  if (objective == Objective::kMse) {
    const T difference = valid ? z - q : T(0);
    loss = warp_sum(difference * difference) / count;
    gradient = T(2) * difference / count;
  } else {
    const Action<T> action = softmaxes(z, q, valid, inverse_temperature);
    if (objective == Objective::kReverseKl)
      loss = policy_of<Objective::kReverseKl>(action, valid, gradient);
    else if (objective == Objective::kKl)
      loss = policy_of<Objective::kKl>(action, valid, gradient);
    else
      loss = policy_of<Objective::kCrossEntropy>(action, valid, gradient);
  }
  gradient = valid ? gradient : T(0);
  return count > T(0) ? loss : static_cast<T>(NAN);
}

// The part of a row of features that the warp has in flight: kDepth packs per thread of both
// inputs are requested before the first is used, which hides the memory's latency.
template <typename T, typename Predicted, typename Expert, int kSize>
struct FeaturePacks {
  using PredictedPack = Pack<Predicted, kSize>;
  using ExpertPack = Pack<Expert, kSize>;
  // More would not fit into the registers that three blocks leave each other.
  static constexpr int kDepth = kSize < 8 && sizeof(T) == 4 ? 4 : 2;

  PredictedPack predicted[kDepth];
  ExpertPack expert[kDepth];

  __device__ void load(const PredictedPack* from_predicted, const ExpertPack* from_expert,
                       std::int64_t first, std::int64_t packs) {
#pragma unroll
    for (int i = 0; i < kDepth; ++i) {
      const std::int64_t at = first + i * kWarpSize;
      if (at < packs) {
        predicted[i] = from_predicted[at];
        expert[i] = from_expert[at];
      }
    }
  }

  // Writes coefficient * (f - h_E), unless `gradient` is null, and returns the sum of squares.
  __device__ T consume(T coefficient, PredictedPack* gradient, std::int64_t first,
                       std::int64_t packs) const {
    T sum = T(0);
#pragma unroll
    for (int i = 0; i < kDepth; ++i) {
      const std::int64_t at = first + i * kWarpSize;
      if (at < packs) {
        PredictedPack out;
#pragma unroll
        for (int j = 0; j < kSize; ++j) {
          const T difference = to_compute(predicted[i].values[j]) - to_compute(expert[i].values[j]);
          sum += difference * difference;
          store(coefficient * difference, &out.values[j]);
        }
        if (gradient) gradient[at] = out;
      }
    }
    return sum;
  }
};

// The first warp gets the sums over the block, the others 0. The order is that of warp_sum.
struct BlockSum {
  double policy[kWarps];
  double feature[kWarps];

  __device__ void add_up(double warp_policy, double warp_feature, double& block_policy,
                         double& block_feature) {
    const int warp = threadIdx.x / kWarpSize;
    if (threadIdx.x % kWarpSize == 0) {
      policy[warp] = warp_policy;
      feature[warp] = warp_feature;
    }
    __syncthreads();
    block_policy = block_feature = 0.0;
    if (warp == 0) {
      // Groups of kWarps threads each add up all of the warps' sums.
      const int lane = threadIdx.x % kWarps;
      block_policy = warp_sum<kWarps>(policy[lane]);
      block_feature = warp_sum<kWarps>(feature[lane]);
    }
    __syncthreads();  // the sums may be written again
  }
};

// Leaves the block's sums in the workspace. In the block that finishes last, true: then every
// block's sums are visible.
__device__ inline bool leave_sums(Workspace& workspace, double policy, double feature) {
  __shared__ bool last;
  if (threadIdx.x == 0) {
    workspace.policy[blockIdx.x] = policy;
    workspace.feature[blockIdx.x] = feature;
    __threadfence();  // the sums before the count
    // Wraps to 0 at the last block: the workspace is ready for the next launch on this stream.
    last = atomicInc(&workspace.finished, gridDim.x - 1) == gridDim.x - 1;
    __threadfence();  // the count before the others' sums
  }
  __syncthreads();
  return last;
}

// kSize: elements of features in one pack; 1 where sizes or addresses do not allow 16 bytes.
template <typename T, typename Predicted, typename Expert, int kSize>
__global__ void __launch_bounds__(kThreads, kBlocksPerMultiprocessor)
    distillation_kernel(DistillationBatch batch, Objective objective, RowFactors<T> factors,
                        int workspace) {
  using Packs = FeaturePacks<T, Predicted, Expert, kSize>;
  const int lane = threadIdx.x % kWarpSize;
  const std::int64_t packs = batch.features / kSize;
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * kWarps;
  const auto* predicted =
      static_cast<const typename Packs::PredictedPack*>(batch.predicted_features.data);
  const auto* expert = static_cast<const typename Packs::ExpertPack*>(batch.expert_features.data);
  auto* gradient = static_cast<typename Packs::PredictedPack*>(batch.features_gradient);
  const auto* weight = static_cast<const T*>(batch.weight);

  double policy_sum = 0.0, feature_sum = 0.0;
  for (std::int64_t row = blockIdx.x * kWarps + threadIdx.x / kWarpSize; row < batch.rows;
       row += stride) {
    // The features are requested first: the policy is computed while they are on their way.
    const std::int64_t features_at = row * packs;
    Packs in_flight;
    in_flight.load(predicted + features_at, expert + features_at, lane, packs);

    const T row_weight = factors.row * (weight ? weight[row] : T(1));
    // All three are requested before the mask says which numbers count: asked for one after the
    // other, they would cost a row two latencies of the memory.
    const std::int64_t at = row * kActions + lane;
    const bool inside = lane < kActions;
    const bool valid = inside && batch.action_mask[at];
    const T any_z = inside ? load_element<T>(batch.logits, at) : T(0);
    const T any_q = inside ? load_element<T>(batch.expert_q, at) : T(0);
    const T z = valid ? any_z : T(0);
    const T q = valid ? any_q : T(0);
    T by_logit;
    const T policy = policy_row(objective, z, q, valid, factors.inverse_temperature, by_logit);
    policy_sum += static_cast<double>(policy) * row_weight;
    if (batch.logits_gradient && lane < kActions)
      store_element(valid ? by_logit * row_weight : T(0), batch.logits.type, batch.logits_gradient,
                    at);

    const T coefficient = T(2) * factors.gradient_scale * row_weight;
    T squared = T(0);
    for (std::int64_t first = lane; first - lane < packs; first += Packs::kDepth * kWarpSize) {
      if (first != lane)
        in_flight.load(predicted + features_at, expert + features_at, first, packs);
      squared +=
          in_flight.consume(coefficient, gradient ? gradient + features_at : nullptr, first, packs);
    }
    feature_sum += static_cast<double>(warp_sum(squared)) * row_weight;
  }

  __shared__ BlockSum block_sum;
  double policy, feature;
  block_sum.add_up(policy_sum, feature_sum, policy, feature);
  if (!leave_sums(workspaces[workspace], policy, feature)) return;

  policy_sum = feature_sum = 0.0;
  for (unsigned block = threadIdx.x; block < gridDim.x; block += kThreads) {
    policy_sum += __ldcg(&workspaces[workspace].policy[block]);  // not from this block's cache
    feature_sum += __ldcg(&workspaces[workspace].feature[block]);
  }
  block_sum.add_up(warp_sum(policy_sum), warp_sum(feature_sum), policy, feature);
  if (threadIdx.x == 0) {
    if (batch.rows == 0) policy = feature = 0.0 * factors.row;  // the mean of nothing is NaN
    if (batch.features == 0) feature = 0.0;
    *static_cast<T*>(batch.policy) = static_cast<T>(policy);
    *static_cast<T*>(batch.feature) = static_cast<T>(feature);
    *static_cast<T*>(batch.total) = static_cast<T>(policy + factors.feature_scale * feature);
  }
}

}  // namespace actormimic::ops::cuda
