// Ways to ALE's private members. An explicit instantiation may name a private member; the friend
// function that it defines then hands the member's pointer to the rest of the file.
//
// A program may hold an explicit instantiation once, so ACTORMIMIC_REVEAL stands in .cpp files.
#pragma once

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

}  // namespace actormimic::vcs
