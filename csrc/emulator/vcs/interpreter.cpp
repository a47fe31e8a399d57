#include "emulator/vcs/interpreter.hpp"

#include "emulator/vcs/core.hpp"

namespace actormimic::vcs {

#if defined(__GNUC__)  // every handler jumps to the next one, which processors predict well
#define ACTORMIMIC_CASE(name) label_##name:
#define ACTORMIMIC_DISPATCH(handler) goto* kLabels[static_cast<std::size_t>(handler)]
#else
#define ACTORMIMIC_CASE(name) case Handler::name:
#define ACTORMIMIC_DISPATCH(handler) \
  {                                  \
    chosen = handler;                \
    goto dispatch;                   \
  }
#endif

bool run_decoded(Registers& registers, Bus& bus, const Program& program, std::uint32_t limit) {
  Core<true> core(registers, bus, &program, limit);
  if (registers.executed() > limit || !core.enter(registers.pc)) return false;

#if defined(__GNUC__)
  static const void* const kLabels[] = {&&label_Rare, &&label_Seam,
#define V(opcode, mnemonic, mode, cycles) &&label_##mnemonic##_##mode,
                                        ACTORMIMIC_6502_DOCUMENTED(V) ACTORMIMIC_6502_DECODED(V)
#undef V
  };
  ACTORMIMIC_DISPATCH(core.next->handler);
#else
  Handler chosen = core.next->handler;
dispatch:
  switch (chosen) {
#endif

  ACTORMIMIC_CASE(Rare) goto out;

  ACTORMIMIC_CASE(Seam) {
    if (!core.seam_holds()) goto out;
    ACTORMIMIC_DISPATCH(program.beyond_seam(core.next_offset()));
  }

#define V(code, mnemonic, mode, cycles)      \
  ACTORMIMIC_CASE(mnemonic##_##mode) {       \
    core.template begin<Mode::mode>(cycles); \
    core.template mnemonic<Mode::mode>();    \
    if (core.leave) {                        \
      core.opcode = code;                    \
      goto out;                              \
    }                                        \
    ACTORMIMIC_DISPATCH(core.next->handler); \
  }
  ACTORMIMIC_6502_DOCUMENTED(V)
  ACTORMIMIC_6502_DECODED(V)
#undef V

#if !defined(__GNUC__)
}
#endif

out: const bool executed = core.ticks != registers.ticks;
core.pc = core.next_pc();
registers = core;
return executed;
}

bool step(Registers& registers, Bus& bus) {
  Core<false> core(registers, bus, nullptr, 0);
  core.opcode = core.fetch();
  switch (core.opcode) {
#define V(code, mnemonic, mode, cycles)      \
  case code:                                 \
    core.template begin<Mode::mode>(cycles); \
    core.template mnemonic<Mode::mode>();    \
    break;
    ACTORMIMIC_6502_DOCUMENTED(V)
    ACTORMIMIC_6502_RARE(V)
#undef V
    default:
      return false;
  }
  registers = core;
  bus.leave_data(core.data());
  return true;
}

}  // namespace actormimic::vcs
