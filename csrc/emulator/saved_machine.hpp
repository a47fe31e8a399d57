// What ALE saves of a machine, looked through before ALE reads it. ALE believes every length and
// every bank number that it finds there, and would write behind its arrays and show a program what
// lies behind the ROM.
//
// A machine is the cartridge's MD5, the system and its generator, the processor and the chips, the
// game's rules, and last the generator of the sticky actions, as ALE's Serializer writes them.
#pragma once

#include <cstddef>
#include <string>

namespace ale::stella {
class Cartridge;
}

namespace actormimic {

// Throws std::invalid_argument for a kind of cartridge, by ALE's name, whose numbers are not known
// here and could not be checked. No game that comes with ALE has one.
void require_savable(const std::string& cartridge);

// `own` is the machine of the console that is to load `machine`, with `sticky_bytes` for the last
// generator: but for the generators, whose numbers vary in length, both have one layout. Throws
// std::invalid_argument where they have not, and for a length, a bank, a generator's place or a
// time that would be followed out of bounds.
void require_readable_machine(const std::string& machine, const std::string& own,
                              std::size_t sticky_bytes, const std::string& cartridge);

// Throws std::runtime_error where a console has come to what require_readable_machine() refuses: a
// program can leave a frame unfinished for so long.
void ensure_readable_machine(const std::string& machine);

// Shows the program the slices of an E0 cartridge that it saw when `machine` was saved: ALE reads
// their numbers, but what it mapped before stays mapped. Once ALE has loaded the machine.
void map_saved_slices(const std::string& machine, ale::stella::Cartridge& cartridge);

// Throws std::invalid_argument unless `text` is a std::mt19937 as the standard library writes it,
// which believes the place in the sequence that it reads.
void require_generator(const std::string& text);

}  // namespace actormimic
