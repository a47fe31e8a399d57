// What every launcher does: make the tensors' device the current one, see that the memory is there,
// and enqueue a kernel.
#pragma once

#include <cuda_runtime.h>

#include <utility>

#include "common/check.hpp"

namespace actormimic::ops::cuda {

// A failure is told once: whoever asks for CUDA's last error afterwards shall not find it.
inline cudaError_t told(cudaError_t error) {
  if (error != cudaSuccess) (void)cudaGetLastError();
  return error;
}

// Makes `device` current for the calling thread while it lives, then restores the one before.
class DeviceGuard {
 public:
  explicit DeviceGuard(int device) {
    error_ = told(cudaGetDevice(&before_));
    if (error_ == cudaSuccess && before_ != device) {
      error_ = told(cudaSetDevice(device));
      changed_ = error_ == cudaSuccess;
    }
  }
  ~DeviceGuard() {
    if (changed_) cudaSetDevice(before_);
  }
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

  cudaError_t error() const { return error_; }

 private:
  int before_ = 0;
  bool changed_ = false;
  cudaError_t error_ = cudaSuccess;
};

// Throws std::invalid_argument unless `memory` belongs to `device`; returns what else went wrong.
inline cudaError_t require_memory_of(int device, const char* name, const void* memory) {
  cudaPointerAttributes attributes{};
  const cudaError_t error = cudaPointerGetAttributes(&attributes, memory);
  if (error != cudaSuccess) return told(error);
  require(attributes.type == cudaMemoryTypeDevice && attributes.device == device, name,
          " is not memory of CUDA device ", device);
  return cudaSuccess;
}

// Enqueues one kernel. Unlike <<<>>> with cudaGetLastError() it reports this launch and not what an
// earlier call of the thread has left behind.
template <typename... Parameters, typename... Arguments>
cudaError_t enqueue(void (*kernel)(Parameters...), unsigned blocks, unsigned threads,
                    cudaStream_t stream, Arguments&&... arguments) {
  cudaLaunchConfig_t configuration{};
  configuration.gridDim = dim3(blocks);
  configuration.blockDim = dim3(threads);
  configuration.stream = stream;
  return told(cudaLaunchKernelEx(&configuration, kernel, std::forward<Arguments>(arguments)...));
}

}  // namespace actormimic::ops::cuda
