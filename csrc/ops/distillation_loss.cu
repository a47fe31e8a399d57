#include "ops/distillation_loss.cuh"

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>
#include <tuple>
#include <utility>

#include "common/check.hpp"
#include "ops/distillation_loss_kernel.cuh"
#include "ops/launch.cuh"

namespace actormimic::ops::cuda {

namespace {

// Which of a device's workspaces a stream uses. Streams keep theirs for good, captures take turns
// in the rest. Thread-safe.
class WorkspaceTable {
 public:
  cudaError_t find(int device, cudaStream_t stream, int& workspace) {
    cudaStreamCaptureStatus status;
    unsigned long long capture = 0;
    const cudaError_t error = told(cudaStreamGetCaptureInfo(stream, &status, &capture));
    if (error != cudaSuccess) return error;
    if (status != cudaStreamCaptureStatusActive) capture = 0;
    const std::lock_guard<std::mutex> lock(mutex_);
    const std::tuple key{device, stream, capture};
    auto place = table_.find(key);
    if (place == table_.end()) place = table_.emplace(key, next(device, capture != 0)).first;
    workspace = place->second;
    return cudaSuccess;
  }

 private:
  static constexpr int kForStreams = 160;
  static constexpr int kForCaptures = kWorkspaces - kForStreams;

  int next(int device, bool capture) {
    auto& [streams, captures] = used_[device];
    if (capture) return kForStreams + captures++ % kForCaptures;
    ensure(streams < kForStreams, "more than ", kForStreams, " streams of CUDA device ", device,
           " have computed the distillation loss");
    return streams++;
  }

  std::mutex mutex_;
  std::map<std::tuple<int, cudaStream_t, unsigned long long>, int> table_;
  std::map<int, std::pair<int, int>> used_;
};

template <typename T, typename Predicted, typename Expert>
cudaError_t launch(const DistillationSettings& settings, const DistillationBatch& batch, int blocks,
                   int workspace, cudaStream_t stream) {
  constexpr int kSize = 16 / static_cast<int>(sizeof(Predicted) < sizeof(Expert) ? sizeof(Predicted)
                                                                                 : sizeof(Expert));
  const auto addresses = reinterpret_cast<std::uintptr_t>(batch.predicted_features.data) |
                         reinterpret_cast<std::uintptr_t>(batch.expert_features.data) |
                         reinterpret_cast<std::uintptr_t>(batch.features_gradient);
  const RowFactors<T> factors(settings, batch.rows);
  const bool packs = addresses % 16 == 0 && batch.features % kSize == 0;
  return enqueue(packs ? distillation_kernel<T, Predicted, Expert, kSize>
                       : distillation_kernel<T, Predicted, Expert, 1>,
                 blocks, kThreads, stream, batch, settings.objective, factors, workspace);
}

template <typename Predicted>
cudaError_t launch_for_expert(const DistillationSettings& settings, const DistillationBatch& batch,
                              int blocks, int workspace, cudaStream_t stream) {
  switch (batch.expert_features.type) {
    case ElementType::kBFloat16:
      return launch<float, Predicted, BFloat16>(settings, batch, blocks, workspace, stream);
    case ElementType::kFloat16:
      return launch<float, Predicted, Float16>(settings, batch, blocks, workspace, stream);
    default:
      return launch<float, Predicted, float>(settings, batch, blocks, workspace, stream);
  }
}

cudaError_t launch_for_types(const DistillationSettings& settings, const DistillationBatch& batch,
                             int blocks, int workspace, cudaStream_t stream) {
  if (batch.logits.type == ElementType::kFloat64)
    return launch<double, double, double>(settings, batch, blocks, workspace, stream);
  switch (batch.predicted_features.type) {
    case ElementType::kBFloat16:
      return launch_for_expert<BFloat16>(settings, batch, blocks, workspace, stream);
    case ElementType::kFloat16:
      return launch_for_expert<Float16>(settings, batch, blocks, workspace, stream);
    default:
      return launch_for_expert<float>(settings, batch, blocks, workspace, stream);
  }
}

}  // namespace

cudaError_t distillation_loss(const DistillationSettings& settings, const DistillationBatch& batch,
                              int device, cudaStream_t stream) {
  check_call(settings, batch);
  require(stream != cudaStreamPerThread,
          "stream is cudaStreamPerThread, another stream in each thread under one handle; allowed: "
          "a stream of its own");
  const DeviceGuard guard(device);
  if (guard.error() != cudaSuccess) return guard.error();
  cudaError_t error = require_memory_of(device, "total", batch.total);
  if (error != cudaSuccess) return error;

  int multiprocessors = 0;
  error = told(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device));
  if (error != cudaSuccess) return error;
  // One row per warp, as far as the device runs them at once; an empty batch has losses to write.
  const std::int64_t wanted = (batch.rows + kWarps - 1) / kWarps;
  const int at_once = std::min(multiprocessors * kBlocksPerMultiprocessor, kMaxBlocks);
  const int blocks = static_cast<int>(std::clamp<std::int64_t>(wanted, 1, at_once));

  static WorkspaceTable workspaces_in_use;
  int workspace = 0;
  error = workspaces_in_use.find(device, stream, workspace);
  if (error != cudaSuccess) return error;
  return launch_for_types(settings, batch, blocks, workspace, stream);
}

}  // namespace actormimic::ops::cuda
