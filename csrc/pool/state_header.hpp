// What stands before the environments of a saved pool, so that bytes that are damaged, or that
// another pool saved, are refused before anything of them is used.
//
//   uint32  magic "AMSP"
//   uint32  version of the layout
//   uint32  CRC-32 of everything after the size
//   uint64  size of everything after this field
//   uint64  number of facts, then two strings for each: its name and its value
//
// The facts are ALE's version, the number of environments, the batch size, every setting of
// EnvSettings but the emulation, since both arrive at the same states, and the game, mode and
// difficulty of each environment. A checksum finds damage; it is no defense against bytes that
// somebody made up.
#pragma once

#include <cstddef>
#include <string>

#include "emulator/state_stream.hpp"
#include "pool/pool.hpp"

namespace actormimic {

// A writer that has the header of a pool with these settings, for the environments to follow.
StateWriter begin_state(const PoolSettings& settings, int batch_size);
// The bytes, once their size and checksum are known.
std::string finish_state(StateWriter&& out);

// A reader that stands after the header. Throws std::invalid_argument unless the bytes are whole
// and come from a pool with these settings.
StateReader open_state(const char* bytes, std::size_t size, const PoolSettings& settings,
                       int batch_size);

}  // namespace actormimic
