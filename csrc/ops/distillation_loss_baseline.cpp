// The CPU kernel for every machine of the architecture: SSE2 on x86-64, NEON on aarch64.
#define ACTORMIMIC_INSTRUCTION_SET baseline
#include "ops/distillation_loss_cpu.hpp"
