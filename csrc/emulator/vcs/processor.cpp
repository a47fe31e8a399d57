#include "emulator/vcs/processor.hpp"

#include <string_view>
#include <utility>

#include "emulator/vcs/interpreter.hpp"

namespace actormimic::vcs {
namespace {

using ale::stella::Cartridge;
using ale::stella::M6502Low;
using ale::stella::System;

// Cartridges whose getImage() is ROM alone, fixed from power-on, and the bytes that they map at
// once. Others may keep RAM in it.
constexpr std::pair<std::string_view, std::size_t> kRomSlices[] = {
    {"Cartridge2K", 0x800},    {"Cartridge4K", 0x1000},   {"CartridgeF4", 0x1000},
    {"CartridgeF6", 0x1000},   {"CartridgeF6SC", 0x1000}, {"CartridgeF8", 0x1000},
    {"CartridgeF8SC", 0x1000}, {"CartridgeE0", 0x400},    {"CartridgeE7", 0x800}};

}  // namespace

bool Processor::install_in(System& system) {
  auto* stock = dynamic_cast<M6502Low*>(&system.m6502());
  auto* cartridge =
      dynamic_cast<Cartridge*>(system.getPageAccess(0x1000 >> Bus::kPageShift).device);
  if (stock == nullptr || cartridge == nullptr || !Bus::is_plain(system)) return false;
  if (std::string_view(cartridge->name()) == "CartridgeAR") return false;  // keeps its address
  system.attach(new Processor(*stock, system, *cartridge));
  delete stock;
  return true;
}

Processor::Processor(const M6502Low& stock, System& system, Cartridge& cartridge)
    : M6502Low(stock), bus_(system) {
  for (const auto& [name, slice] : kRomSlices) {
    if (name != cartridge.name()) continue;
    int size = 0;
    const std::uint8_t* image = cartridge.getImage(size);
    program_ = std::make_unique<Program>(image, static_cast<std::size_t>(size), slice);
  }
}

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

bool Processor::execute(std::uint32_t number) {
  myExecutionStatus &= FatalErrorBit;
  // A jammed processor and counts that our ticks cannot hold are ALE's own business.
  if (myExecutionStatus != 0 || number > 0xffff) return M6502Low::execute(number);
  const std::uint32_t limit = number > kLongestStraightRun ? number - kLongestStraightRun : 0;
  Registers registers = take_registers();
  bus_.begin();
  myLastAccessWasRead = true;
  while (registers.executed() < number && !bus_.stopped()) {
    if (program_ != nullptr && !run_decoded(registers, bus_, *program_, limit)) continue;
    if (!step(registers, bus_)) {
      give_back(registers);
      return M6502Low::execute(1);  // says so and stays jammed
    }
  }
  give_back(registers);
  return true;
}

}  // namespace actormimic::vcs
