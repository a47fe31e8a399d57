// The two interpreters: a quick one for programs decoded in advance, and one that reads every byte
// through the bus and so can do everything.
#pragma once

#include <cstdint>

#include "emulator/vcs/bus.hpp"
#include "emulator/vcs/program.hpp"
#include "emulator/vcs/registers.hpp"

namespace actormimic::vcs {

// No program executes more instructions between two jumps than a cartridge shows bytes.
inline constexpr std::uint32_t kLongestStraightRun = 0x1000;

// Executes from registers.pc on until a chip ends the frame, until step() is needed, or until
// `limit` instructions have been executed and the program jumps: fewer than kLongestStraightRun
// later. Returns whether step() is needed.
bool run_decoded(Registers& registers, Bus& bus, const Program& program, std::uint32_t limit);

// Executes one instruction, whatever it is and wherever it lies. Returns false for an opcode that
// jams the processor: it has been fetched, and nothing else has happened.
bool step(Registers& registers, Bus& bus);

}  // namespace actormimic::vcs
