// Ways to ALE's private members. An explicit instantiation may name a private member; the friend
// function that it defines then hands the member's pointer to everybody.
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
    using Type = MemberType ale::stella::Class::*;         \
    friend constexpr Type reveal(Name);                    \
  };                                                       \
  template struct Reveal<Name, &ale::stella::Class::Member>;

ACTORMIMIC_REVEAL(DataBus, System, myDataBusState, std::uint8_t)
ACTORMIMIC_REVEAL(Timer, M6532, myTimer, std::uint32_t)
ACTORMIMIC_REVEAL(TimerShift, M6532, myIntervalShift, std::uint32_t)
ACTORMIMIC_REVEAL(TimerSetCycle, M6532, myCyclesWhenTimerSet, int)
ACTORMIMIC_REVEAL(InterruptResetCycle, M6532, myCyclesWhenInterruptReset, int)
ACTORMIMIC_REVEAL(ReadAfterInterrupt, M6532, myTimerReadAfterInterrupt, bool)

#undef ACTORMIMIC_REVEAL

}  // namespace actormimic::vcs
