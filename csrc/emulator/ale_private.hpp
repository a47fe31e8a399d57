// Ways to ALE's private members. An explicit instantiation may name a private member; the friend
// function that it defines then hands the member's pointer to the rest of the file: `Name` stands
// for the member, and reveal(Name{}) points to it.
//
// A program may hold an explicit instantiation once, so ACTORMIMIC_REVEAL stands in .cpp files.
// Each brings a template of its own, since one may be instantiated only in a namespace around it.
#pragma once

#define ACTORMIMIC_REVEAL(Name, Class, Member, MemberType)       \
  struct Name {                                                  \
    using Type = MemberType ale::Class::*;                       \
    friend constexpr Type reveal(Name);                          \
  };                                                             \
  template <Name::Type kMember>                                  \
  struct Name##Revealed {                                        \
    friend constexpr Name::Type reveal(Name) { return kMember; } \
  };                                                             \
  template struct Name##Revealed<&ale::Class::Member>;
