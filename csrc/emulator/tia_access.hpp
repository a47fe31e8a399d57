// Our way to the private state of ALE's TIA, which names this class its friend and defines it
// nowhere.
#pragma once

#include "ale/emucore/TIA.hxx"
#include "emulator/state_stream.hpp"
#include "emulator/vcs/tia.hpp"

namespace ale {
namespace stella {

class TIADebug {
 public:
  // console_state.cpp: the pictures, and what else ALE's own save() leaves out.
  static bool unfinished(const TIA& tia);
  static void save(const TIA& tia, actormimic::StateWriter& out);
  static void load(TIA& tia, actormimic::StateReader& in);

  // vcs/tia_loan.cpp
  static void lend(TIA& tia, actormimic::vcs::Tia& to);
  static void take_back(TIA& tia, const actormimic::vcs::Tia& from);

  class Tables;  // of tests

 private:
  static void require_possible(const TIA& tia);
  static std::uint32_t cycles_to_charge(int resistance);
};

}  // namespace stella
}  // namespace ale
