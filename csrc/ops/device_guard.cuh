// What every launcher does first: make the tensors' device the current one, and see that the memory
// is there.
#pragma once

#include <cuda_runtime_api.h>

#include "common/check.hpp"

namespace actormimic::ops::cuda {

// Makes `device` current for the calling thread while it lives, then restores the one before.
class DeviceGuard {
 public:
  explicit DeviceGuard(int device) {
    error_ = cudaGetDevice(&before_);
    if (error_ == cudaSuccess && before_ != device) {
      error_ = cudaSetDevice(device);
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

// Throws std::invalid_argument unless `memory` belongs to `device`.
inline void require_memory_of(int device, const char* name, const void* memory) {
  cudaPointerAttributes attributes{};
  const cudaError_t error = cudaPointerGetAttributes(&attributes, memory);
  require(error == cudaSuccess && attributes.type == cudaMemoryTypeDevice &&
              attributes.device == device,
          name, " is not memory of CUDA device ", device);
}

}  // namespace actormimic::ops::cuda
