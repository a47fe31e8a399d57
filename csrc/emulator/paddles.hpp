// Which games are played with paddles, by ALE's properties of their cartridges.
#pragma once

#include "ale/emucore/Props.hxx"

namespace actormimic {

inline bool has_paddles(const ale::stella::Properties& cartridge) {
  return cartridge.get(ale::stella::Controller_Left) == "PADDLES" ||
         cartridge.get(ale::stella::Controller_Right) == "PADDLES";
}

}  // namespace actormimic
