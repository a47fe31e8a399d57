#include "emulator/vcs/processor.hpp"

#include <iostream>
#include <string_view>
#include <utility>

#include "ale/emucore/Cart.hxx"
#include "emulator/vcs/interpreter.hpp"

namespace actormimic::vcs {
namespace {

using ale::stella::Cartridge;
using ale::stella::M6502Low;
using ale::stella::System;

// The kinds that games which come with ALE have. Others may keep RAM in what they call their image,
// or do more than show it.
constexpr RomLayout kLayouts[] = {
    {"Cartridge2K", 0x800, 1, 0, 0, false},
    {"Cartridge4K", 0x1000, 1, 0, 0, false},
    {"CartridgeF6", 0x1000, 0xff6, 0xff9, 0, false},
    {"CartridgeF6SC", 0x1000, 0xff6, 0xff9, 0, false},
    {"CartridgeF8", 0x1000, 0xff8, 0xff9, 0, false},
    {"CartridgeF8SC", 0x1000, 0xff8, 0xff9, 0, false},
    {"CartridgeE0", 0x400, 0xfe0, 0xff7, 0, false},
    {"CartridgeFE", 0x1000, 1, 0, 0, true},
    // Every access to its last page moves its random numbers on.
    {"CartridgeDPC", 0x1000, 0xfc0, 0xfff, 0x80, false},
};

// The ROM as the page table shows it. (The DPC's image is a copy.)
const std::uint8_t* rom_of(System& system, Cartridge& cartridge, const RomLayout& layout,
                           int& size) {
  const std::uint8_t* image = cartridge.getImage(size);
  if (layout.chip_end == 0) return image;
  constexpr std::uint16_t kShown = 0x1100;
  size = cartridge.bankCount() * static_cast<int>(layout.slice);
  return system.getPageAccess(kShown >> Bus::kPageShift).directPeekBase - (kShown & 0xfff) -
         cartridge.bank() * static_cast<int>(layout.slice);
}

}  // namespace

bool Processor::install_in(System& system) {
  auto* stock = dynamic_cast<M6502Low*>(&system.m6502());
  auto* cartridge =
      dynamic_cast<Cartridge*>(system.getPageAccess(0x1000 >> Bus::kPageShift).device);
  if (stock == nullptr || cartridge == nullptr || !Bus::is_plain(system)) return false;
  for (const RomLayout& layout : kLayouts) {
    if (std::string_view(layout.cartridge) != cartridge->name()) continue;
    int size = 0;
    const std::uint8_t* rom = rom_of(system, *cartridge, layout, size);
    system.attach(
        new Processor(*stock, system, Program(rom, static_cast<std::size_t>(size), layout)));
    delete stock;
    return true;
  }
  return false;
}

Processor::Processor(const M6502Low& stock, System& system, Program program)
    : M6502Low(stock), bus_(system), program_(std::move(program)) {}

Registers Processor::take_registers() const {
  Registers r;
  r.a = A;
  r.x = X;
  r.y = Y;
  r.sp = SP;
  r.opcode = IR;
  r.pc = PC;
  r.nz = (N ? 0x8000u : 0u) | (notZ ? 1u : 0u);
  r.carry = C ? 1 : 0;
  r.overflow = V ? 0x80 : 0;
  r.decimal = D;
  r.interrupt_disable = I;
  r.break_flag = B;
  r.ticks = mySystem->cycles() * Registers::kCycle;
  return r;
}

void Processor::give_back(const Registers& r) {
  A = r.a;
  X = r.x;
  Y = r.y;
  SP = r.sp;
  IR = r.opcode;
  PC = r.pc;
  N = r.negative();
  notZ = !r.zero();
  C = r.carry != 0;
  V = (r.overflow & 0x80) != 0;
  D = r.decimal;
  I = r.interrupt_disable;
  B = r.break_flag;
  bus_.end(r.cycle());
  if (bus_.stopped()) stop();
}

// As ALE's own does it, which would fetch the opcode once more: a chip in the cartridge can tell.
bool Processor::jam(Registers& registers) {
  registers.ticks += myInstructionSystemCycleTable[registers.opcode] * Registers::kCycle;
  give_back(registers);
  myExecutionStatus |= FatalErrorBit;
  std::cerr << "Illegal Instruction! " << std::hex << int{registers.opcode} << std::dec
            << std::endl;
  return false;
}

bool Processor::execute(std::uint32_t number) {
  myExecutionStatus &= FatalErrorBit;
  // A jammed processor and counts that our ticks cannot hold are ALE's own business.
  if (myExecutionStatus != 0 || number > 0xffff) return M6502Low::execute(number);
  const std::uint32_t limit = number > kLongestStraightRun ? number - kLongestStraightRun : 0;
  Registers registers = take_registers();
  bus_.begin();
  myLastAccessWasRead = true;
  while (registers.executed() < number && !bus_.stopped()) {
    if (!run_decoded(registers, bus_, program_, limit)) continue;
    if (!step(registers, bus_)) return jam(registers);
  }
  give_back(registers);
  return true;
}

}  // namespace actormimic::vcs
