// The two loops that execute instructions.
#pragma once

#include <cstdint>

#include "emulator/vcs/bus.hpp"
#include "emulator/vcs/program.hpp"
#include "emulator/vcs/registers.hpp"

namespace actormimic::vcs {

// No program executes more instructions between two jumps than a cartridge shows bytes.
inline constexpr std::uint32_t kLongestStraightRun = 0x1000;

// Executes from registers.pc where it lies in the decoded program, until a chip ends the frame, the
// program leaves what is decoded, or about `limit` instructions have been executed: fewer than
// kLongestStraightRun more. Returns whether it executed anything.
bool run_decoded(Registers& registers, Bus& bus, const Program& program, std::uint32_t limit);

// Executes one instruction, whatever it is and wherever it lies. Returns false and does nothing for
// an opcode that jams the processor.
bool step(Registers& registers, Bus& bus);

}  // namespace actormimic::vcs
