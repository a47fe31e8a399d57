// What the instructions of the 6507 compute. Where operands come from and results go is the
// business of the interpreters.
#pragma once

#include <cstdint>

#include "emulator/vcs/registers.hpp"

namespace actormimic::vcs {

// Answers are those of ALE's M6502Low, also where the chip's own are unsure.
struct Instructions : Registers {
  using Byte = std::uint8_t;

  // Readers take their operand.
  void LDA(Byte m) { set_nz(a = m); }
  void LDX(Byte m) { set_nz(x = m); }
  void LDY(Byte m) { set_nz(y = m); }
  void ADC(Byte m) { decimal ? add_decimal(m) : add(m); }
  void SBC(Byte m) { decimal ? subtract_decimal(m) : subtract(m); }
  void AND(Byte m) { set_nz(a &= m); }
  void ORA(Byte m) { set_nz(a |= m); }
  void EOR(Byte m) { set_nz(a ^= m); }
  void CMP(Byte m) { compare(a, m); }
  void CPX(Byte m) { compare(x, m); }
  void CPY(Byte m) { compare(y, m); }
  void BIT(Byte m) {
    nz = (m & 0x80) << 8 | (a & m);
    overflow = static_cast<Byte>(m << 1);
  }

  // The same where decimal mode is known to be off.
  void ADC_binary(Byte m) { add(m); }
  void SBC_binary(Byte m) { subtract(m); }

  // Writers give what they store.
  Byte STA() const { return a; }
  Byte STX() const { return x; }
  Byte STY() const { return y; }

  // Modifiers take a byte and give what it becomes.
  Byte INC(Byte m) { return flagged(static_cast<Byte>(m + 1)); }
  Byte DEC(Byte m) { return flagged(static_cast<Byte>(m - 1)); }
  Byte ASL(Byte m) { return flagged(shift_left(m, 0)); }
  Byte ROL(Byte m) { return flagged(shift_left(m, carry)); }
  Byte LSR(Byte m) { return flagged(shift_right(m, 0)); }
  Byte ROR(Byte m) { return flagged(shift_right(m, carry)); }

  // Between the registers.
  void TAX() { set_nz(x = a); }
  void TAY() { set_nz(y = a); }
  void TXA() { set_nz(a = x); }
  void TYA() { set_nz(a = y); }
  void TSX() { set_nz(x = sp); }
  void TXS() { sp = x; }
  void INX() { set_nz(++x); }
  void INY() { set_nz(++y); }
  void DEX() { set_nz(--x); }
  void DEY() { set_nz(--y); }
  void CLC() { carry = 0; }
  void SEC() { carry = 1; }
  void CLV() { overflow = 0; }
  void CLD() { decimal = false; }
  void SED() { decimal = true; }
  void CLI() { interrupt_disable = false; }
  void SEI() { interrupt_disable = true; }
  void NOP() {}

  // Whether a branch is taken.
  bool BPL() const { return !negative(); }
  bool BMI() const { return negative(); }
  bool BVC() const { return (overflow & 0x80) == 0; }
  bool BVS() const { return (overflow & 0x80) != 0; }
  bool BCC() const { return carry == 0; }
  bool BCS() const { return carry != 0; }
  bool BNE() const { return !zero(); }
  bool BEQ() const { return zero(); }

  // The undocumented ones.
  void NOP(Byte) {}
  void LAX(Byte m) { set_nz(a = x = m); }
  Byte SAX() const { return a & x; }
  Byte SLO(Byte m) {
    const Byte result = shift_left(m, 0);
    ORA(result);
    return result;
  }
  Byte RLA(Byte m) {
    const Byte result = shift_left(m, carry);
    AND(result);
    return result;
  }
  Byte SRE(Byte m) {
    const Byte result = shift_right(m, 0);
    EOR(result);
    return result;
  }
  Byte RRA(Byte m) {
    const Byte result = shift_right(m, carry);
    ADC(result);
    return result;
  }
  Byte DCP(Byte m) {
    CMP(--m);
    return m;
  }
  Byte ISB(Byte m) {
    SBC(++m);
    return m;
  }
  void ANC(Byte m) {
    AND(m);
    carry = a >> 7;
  }
  void ASR(Byte m) { a = LSR(a & m); }
  void ARR(Byte m) { and_rotate(m); }
  void SBX(Byte m) {
    const Byte value = a & x;
    compare(value, m);
    x = static_cast<Byte>(value - m);
  }
  // Unstable on the chip.
  void ANE(Byte m) { set_nz(a = (a | 0xee) & x & m); }
  void LXA(Byte m) { set_nz(a = x = (a | 0xee) & m); }
  void LAS(Byte m) { set_nz(a = x = sp &= m); }
  Byte SHA(std::uint16_t address) const { return a & x & next_high(address); }
  Byte SHX(std::uint16_t address) const { return x & next_high(address); }
  Byte SHY(std::uint16_t address) const { return y & next_high(address); }
  Byte SHS(std::uint16_t address) {
    sp = a & x;
    return sp & next_high(address);
  }

 private:
  Byte flagged(Byte value) {
    set_nz(value);
    return value;
  }
  static Byte next_high(std::uint16_t address) { return static_cast<Byte>((address >> 8) + 1); }
};

}  // namespace actormimic::vcs
