// Ways to ALE's private members, declared where ACTORMIMIC_REVEAL names them. An explicit
// instantiation may name a private member; the friend function that it defines then hands the
// member's pointer to everybody.
#pragma once

#include <cstdint>

#include "ale/emucore/M6532.hxx"
#include "ale/emucore/System.hxx"

namespace actormimic::vcs {

template <typename Name, typename Name::Type kMember>
struct Reveal {
  friend constexpr typename Name::Type reveal(Name) { return kMember; }
};

#define ACTORMIMIC_REVEAL(Name, Class, Member, MemberType) \
  struct Name {                                            \
    using Type = MemberType ale::Class::*;                 \
    friend constexpr Type reveal(Name);                    \
  };                                                       \
  template struct Reveal<Name, &ale::Class::Member>;

ACTORMIMIC_REVEAL(DataBus, stella::System, myDataBusState, std::uint8_t)
ACTORMIMIC_REVEAL(Timer, stella::M6532, myTimer, std::uint32_t)
ACTORMIMIC_REVEAL(TimerShift, stella::M6532, myIntervalShift, std::uint32_t)
ACTORMIMIC_REVEAL(TimerSetCycle, stella::M6532, myCyclesWhenTimerSet, int)
ACTORMIMIC_REVEAL(InterruptResetCycle, stella::M6532, myCyclesWhenInterruptReset, int)
ACTORMIMIC_REVEAL(ReadAfterInterrupt, stella::M6532, myTimerReadAfterInterrupt, bool)

}  // namespace actormimic::vcs
