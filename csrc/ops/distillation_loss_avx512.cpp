// The CPU kernel in AVX-512; CMakeLists.txt compiles this file alone with the flags for it.
#define ACTORMIMIC_INSTRUCTION_SET avx512
#include "ops/distillation_loss_cpu.hpp"
