// The CPU kernel in AVX2; CMakeLists.txt compiles this file alone with the flag for it.
#define ACTORMIMIC_INSTRUCTION_SET avx2
#include "ops/distillation_loss_cpu.hpp"
