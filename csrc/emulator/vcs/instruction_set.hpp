// The instructions of the 6502: V(opcode, mnemonic, addressing mode, cycles), by what they do with
// memory. Cycles are those before a page is crossed or a branch taken. Opcodes that stand nowhere
// here jam the processor.
#pragma once

namespace actormimic::vcs {

enum class Mode {
  Implied,
  Accumulator,
  Immediate,
  Zero,
  ZeroX,
  ZeroY,
  Absolute,
  AbsoluteX,
  AbsoluteY,
  Indirect,
  IndirectX,
  IndirectY,
  Relative,
  // Known once the operand is: an address of the RAM, and a branch within its page.
  ZeroRam,
  Near,
};

// Bytes of an instruction, its opcode included.
constexpr int length(Mode mode) {
  switch (mode) {
    case Mode::Implied:
    case Mode::Accumulator:
      return 1;
    case Mode::Absolute:
    case Mode::AbsoluteX:
    case Mode::AbsoluteY:
    case Mode::Indirect:
      return 3;
    default:
      return 2;
  }
}

// clang-format off
// Rows that a decoded program has in two modes, by their operands, leave theirs open.
#define ACTORMIMIC_6502_ZERO_READS(V, mode) \
  V(0x25, AND, mode, 3) V(0x24, BIT, mode, 3) V(0xc5, CMP, mode, 3) V(0xe4, CPX, mode, 3) \
  V(0xc4, CPY, mode, 3) V(0x45, EOR, mode, 3) V(0xa5, LDA, mode, 3) V(0xa6, LDX, mode, 3) \
  V(0xa4, LDY, mode, 3) V(0x05, ORA, mode, 3)
#define ACTORMIMIC_6502_READS(V) \
  ACTORMIMIC_6502_ZERO_READS(V, Zero) V(0x21, AND, IndirectX, 6) V(0x29, AND, Immediate, 2) \
  V(0x2d, AND, Absolute, 4) V(0x31, AND, IndirectY, 5) V(0x35, AND, ZeroX, 4) \
  V(0x39, AND, AbsoluteY, 4) V(0x3d, AND, AbsoluteX, 4) V(0x2c, BIT, Absolute, 4) \
  V(0xc1, CMP, IndirectX, 6) V(0xc9, CMP, Immediate, 2) V(0xcd, CMP, Absolute, 4) \
  V(0xd1, CMP, IndirectY, 5) V(0xd5, CMP, ZeroX, 4) V(0xd9, CMP, AbsoluteY, 4) \
  V(0xdd, CMP, AbsoluteX, 4) V(0xe0, CPX, Immediate, 2) V(0xec, CPX, Absolute, 4) \
  V(0xc0, CPY, Immediate, 2) V(0xcc, CPY, Absolute, 4) V(0x41, EOR, IndirectX, 6) \
  V(0x49, EOR, Immediate, 2) V(0x4d, EOR, Absolute, 4) V(0x51, EOR, IndirectY, 5) \
  V(0x55, EOR, ZeroX, 4) V(0x59, EOR, AbsoluteY, 4) V(0x5d, EOR, AbsoluteX, 4) \
  V(0xa1, LDA, IndirectX, 6) V(0xa9, LDA, Immediate, 2) V(0xad, LDA, Absolute, 4) \
  V(0xb1, LDA, IndirectY, 5) V(0xb5, LDA, ZeroX, 4) V(0xb9, LDA, AbsoluteY, 4) \
  V(0xbd, LDA, AbsoluteX, 4) V(0xa2, LDX, Immediate, 2) V(0xae, LDX, Absolute, 4) \
  V(0xb6, LDX, ZeroY, 4) V(0xbe, LDX, AbsoluteY, 4) V(0xa0, LDY, Immediate, 2) \
  V(0xac, LDY, Absolute, 4) V(0xb4, LDY, ZeroX, 4) V(0xbc, LDY, AbsoluteX, 4) \
  V(0x01, ORA, IndirectX, 6) V(0x09, ORA, Immediate, 2) V(0x0d, ORA, Absolute, 4) \
  V(0x11, ORA, IndirectY, 5) V(0x15, ORA, ZeroX, 4) V(0x19, ORA, AbsoluteY, 4) \
  V(0x1d, ORA, AbsoluteX, 4)

// The two readers that decimal mode changes.
#define ACTORMIMIC_6502_ZERO_ARITHMETIC(V, mode) \
  V(0x65, ADC, mode, 3) V(0xe5, SBC, mode, 3)
#define ACTORMIMIC_6502_ARITHMETIC(V) \
  ACTORMIMIC_6502_ZERO_ARITHMETIC(V, Zero) V(0x61, ADC, IndirectX, 6) V(0x69, ADC, Immediate, 2) \
  V(0x6d, ADC, Absolute, 4) V(0x71, ADC, IndirectY, 5) V(0x75, ADC, ZeroX, 4) \
  V(0x79, ADC, AbsoluteY, 4) V(0x7d, ADC, AbsoluteX, 4) V(0xe1, SBC, IndirectX, 6) \
  V(0xe9, SBC, Immediate, 2) V(0xed, SBC, Absolute, 4) V(0xf1, SBC, IndirectY, 5) \
  V(0xf5, SBC, ZeroX, 4) V(0xf9, SBC, AbsoluteY, 4) V(0xfd, SBC, AbsoluteX, 4)

#define ACTORMIMIC_6502_ZERO_WRITES(V, mode) \
  V(0x85, STA, mode, 3) V(0x86, STX, mode, 3) V(0x84, STY, mode, 3)
#define ACTORMIMIC_6502_WRITES(V) \
  ACTORMIMIC_6502_ZERO_WRITES(V, Zero) V(0x81, STA, IndirectX, 6) V(0x8d, STA, Absolute, 4) \
  V(0x91, STA, IndirectY, 6) V(0x95, STA, ZeroX, 4) V(0x99, STA, AbsoluteY, 5) \
  V(0x9d, STA, AbsoluteX, 5) V(0x8e, STX, Absolute, 4) V(0x96, STX, ZeroY, 4) \
  V(0x8c, STY, Absolute, 4) V(0x94, STY, ZeroX, 4)

#define ACTORMIMIC_6502_ZERO_MODIFIES(V, mode) \
  V(0x06, ASL, mode, 5) V(0xc6, DEC, mode, 5) V(0xe6, INC, mode, 5) V(0x46, LSR, mode, 5) \
  V(0x26, ROL, mode, 5) V(0x66, ROR, mode, 5)
#define ACTORMIMIC_6502_MODIFIES(V) \
  ACTORMIMIC_6502_ZERO_MODIFIES(V, Zero) V(0x0e, ASL, Absolute, 6) V(0x16, ASL, ZeroX, 6) \
  V(0x1e, ASL, AbsoluteX, 7) V(0xce, DEC, Absolute, 6) V(0xd6, DEC, ZeroX, 6) \
  V(0xde, DEC, AbsoluteX, 7) V(0xee, INC, Absolute, 6) V(0xf6, INC, ZeroX, 6) \
  V(0xfe, INC, AbsoluteX, 7) V(0x4e, LSR, Absolute, 6) V(0x56, LSR, ZeroX, 6) \
  V(0x5e, LSR, AbsoluteX, 7) V(0x2e, ROL, Absolute, 6) V(0x36, ROL, ZeroX, 6) \
  V(0x3e, ROL, AbsoluteX, 7) V(0x6e, ROR, Absolute, 6) V(0x76, ROR, ZeroX, 6) \
  V(0x7e, ROR, AbsoluteX, 7)

#define ACTORMIMIC_6502_ACCUMULATOR(V) \
  V(0x0a, ASL, Accumulator, 2) V(0x4a, LSR, Accumulator, 2) V(0x2a, ROL, Accumulator, 2) \
  V(0x6a, ROR, Accumulator, 2)

#define ACTORMIMIC_6502_IMPLIED(V) \
  V(0x18, CLC, Implied, 2) V(0xd8, CLD, Implied, 2) V(0x58, CLI, Implied, 2) \
  V(0xb8, CLV, Implied, 2) V(0xca, DEX, Implied, 2) V(0x88, DEY, Implied, 2) \
  V(0xe8, INX, Implied, 2) V(0xc8, INY, Implied, 2) V(0xea, NOP, Implied, 2) \
  V(0x38, SEC, Implied, 2) V(0xf8, SED, Implied, 2) V(0x78, SEI, Implied, 2) \
  V(0xaa, TAX, Implied, 2) V(0xa8, TAY, Implied, 2) V(0xba, TSX, Implied, 2) \
  V(0x8a, TXA, Implied, 2) V(0x9a, TXS, Implied, 2) V(0x98, TYA, Implied, 2)

#define ACTORMIMIC_6502_BRANCH_ROWS(V, mode) \
  V(0x90, BCC, mode, 2) V(0xb0, BCS, mode, 2) V(0xf0, BEQ, mode, 2) V(0x30, BMI, mode, 2) \
  V(0xd0, BNE, mode, 2) V(0x10, BPL, mode, 2) V(0x50, BVC, mode, 2) V(0x70, BVS, mode, 2)
#define ACTORMIMIC_6502_BRANCHES(V) ACTORMIMIC_6502_BRANCH_ROWS(V, Relative)

// The stack and the program counter.
#define ACTORMIMIC_6502_CONTROL(V) \
  V(0x00, BRK, Implied, 7) V(0x4c, JMP, Absolute, 3) V(0x6c, JMP, Indirect, 5) \
  V(0x20, JSR, Absolute, 6) V(0x48, PHA, Implied, 3) V(0x08, PHP, Implied, 3) \
  V(0x68, PLA, Implied, 4) V(0x28, PLP, Implied, 4) V(0x40, RTI, Implied, 6) \
  V(0x60, RTS, Implied, 6)

// What falls out of the chip's decoding besides, and games do use.
#define ACTORMIMIC_6502_ODD_READS(V) \
  V(0x0b, ANC, Immediate, 2) V(0x2b, ANC, Immediate, 2) V(0x8b, ANE, Immediate, 2) \
  V(0x6b, ARR, Immediate, 2) V(0x4b, ASR, Immediate, 2) V(0xbb, LAS, AbsoluteY, 4) \
  V(0xa3, LAX, IndirectX, 6) V(0xa7, LAX, Zero, 4) V(0xaf, LAX, Absolute, 4) \
  V(0xb3, LAX, IndirectY, 5) V(0xb7, LAX, ZeroY, 4) V(0xbf, LAX, AbsoluteY, 4) \
  V(0xab, LXA, Immediate, 2) V(0x04, NOP, Zero, 3) V(0x0c, NOP, Absolute, 4) \
  V(0x14, NOP, ZeroX, 4) V(0x1c, NOP, AbsoluteX, 4) V(0x34, NOP, ZeroX, 4) \
  V(0x3c, NOP, AbsoluteX, 4) V(0x44, NOP, Zero, 3) V(0x54, NOP, ZeroX, 4) \
  V(0x5c, NOP, AbsoluteX, 4) V(0x64, NOP, Zero, 3) V(0x74, NOP, ZeroX, 4) \
  V(0x7c, NOP, AbsoluteX, 4) V(0x80, NOP, Immediate, 2) V(0x82, NOP, Immediate, 2) \
  V(0x89, NOP, Immediate, 2) V(0xc2, NOP, Immediate, 2) V(0xd4, NOP, ZeroX, 4) \
  V(0xdc, NOP, AbsoluteX, 4) V(0xe2, NOP, Immediate, 2) V(0xf4, NOP, ZeroX, 4) \
  V(0xfc, NOP, AbsoluteX, 4) V(0xeb, SBC, Immediate, 2) V(0xcb, SBX, Immediate, 2)

#define ACTORMIMIC_6502_ODD_WRITES(V) \
  V(0x83, SAX, IndirectX, 6) V(0x87, SAX, Zero, 3) V(0x8f, SAX, Absolute, 4) \
  V(0x97, SAX, ZeroY, 4)

#define ACTORMIMIC_6502_ODD_MODIFIES(V) \
  V(0xc3, DCP, IndirectX, 8) V(0xc7, DCP, Zero, 5) V(0xcf, DCP, Absolute, 6) \
  V(0xd3, DCP, IndirectY, 8) V(0xd7, DCP, ZeroX, 6) V(0xdb, DCP, AbsoluteY, 7) \
  V(0xdf, DCP, AbsoluteX, 7) V(0xe3, ISB, IndirectX, 8) V(0xe7, ISB, Zero, 5) \
  V(0xef, ISB, Absolute, 6) V(0xf3, ISB, IndirectY, 8) V(0xf7, ISB, ZeroX, 6) \
  V(0xfb, ISB, AbsoluteY, 7) V(0xff, ISB, AbsoluteX, 7) V(0x23, RLA, IndirectX, 8) \
  V(0x27, RLA, Zero, 5) V(0x2f, RLA, Absolute, 6) V(0x33, RLA, IndirectY, 8) \
  V(0x37, RLA, ZeroX, 6) V(0x3b, RLA, AbsoluteY, 7) V(0x3f, RLA, AbsoluteX, 7) \
  V(0x63, RRA, IndirectX, 8) V(0x67, RRA, Zero, 5) V(0x6f, RRA, Absolute, 6) \
  V(0x73, RRA, IndirectY, 8) V(0x77, RRA, ZeroX, 6) V(0x7b, RRA, AbsoluteY, 7) \
  V(0x7f, RRA, AbsoluteX, 7) V(0x03, SLO, IndirectX, 8) V(0x07, SLO, Zero, 5) \
  V(0x0f, SLO, Absolute, 6) V(0x13, SLO, IndirectY, 8) V(0x17, SLO, ZeroX, 6) \
  V(0x1b, SLO, AbsoluteY, 7) V(0x1f, SLO, AbsoluteX, 7) V(0x43, SRE, IndirectX, 8) \
  V(0x47, SRE, Zero, 5) V(0x4f, SRE, Absolute, 6) V(0x53, SRE, IndirectY, 8) \
  V(0x57, SRE, ZeroX, 6) V(0x5b, SRE, AbsoluteY, 7) V(0x5f, SRE, AbsoluteX, 7)

#define ACTORMIMIC_6502_ODD_IMPLIED(V) \
  V(0x1a, NOP, Implied, 2) V(0x3a, NOP, Implied, 2) V(0x5a, NOP, Implied, 2) \
  V(0x7a, NOP, Implied, 2) V(0xda, NOP, Implied, 2) V(0xfa, NOP, Implied, 2)

// These store a value that depends on the high byte of the address.
#define ACTORMIMIC_6502_HIGH_WRITES(V) \
  V(0x93, SHA, IndirectY, 6) V(0x9f, SHA, AbsoluteY, 5) V(0x9b, SHS, AbsoluteY, 5) \
  V(0x9e, SHX, AbsoluteY, 5) V(0x9c, SHY, AbsoluteX, 5)

// What the documented ones become in a decoded program where their operand allows it.
#define ACTORMIMIC_6502_RAM_READS(V) ACTORMIMIC_6502_ZERO_READS(V, ZeroRam)
#define ACTORMIMIC_6502_RAM_ARITHMETIC(V) ACTORMIMIC_6502_ZERO_ARITHMETIC(V, ZeroRam)
#define ACTORMIMIC_6502_RAM_WRITES(V) ACTORMIMIC_6502_ZERO_WRITES(V, ZeroRam)
#define ACTORMIMIC_6502_RAM_MODIFIES(V) ACTORMIMIC_6502_ZERO_MODIFIES(V, ZeroRam)
#define ACTORMIMIC_6502_NEAR_BRANCHES(V) ACTORMIMIC_6502_BRANCH_ROWS(V, Near)

#define ACTORMIMIC_6502_DOCUMENTED(V)                                            \
  ACTORMIMIC_6502_READS(V) ACTORMIMIC_6502_ARITHMETIC(V)                         \
  ACTORMIMIC_6502_WRITES(V) ACTORMIMIC_6502_MODIFIES(V)                          \
  ACTORMIMIC_6502_ACCUMULATOR(V) ACTORMIMIC_6502_IMPLIED(V)                      \
  ACTORMIMIC_6502_BRANCHES(V) ACTORMIMIC_6502_CONTROL(V)
#define ACTORMIMIC_6502_BY_OPERAND(V)                            \
  ACTORMIMIC_6502_RAM_READS(V) ACTORMIMIC_6502_RAM_ARITHMETIC(V) \
  ACTORMIMIC_6502_RAM_WRITES(V)                                  \
  ACTORMIMIC_6502_RAM_MODIFIES(V) ACTORMIMIC_6502_NEAR_BRANCHES(V)
// clang-format on

}  // namespace actormimic::vcs
