#pragma once

#include <cstdint>
#include <random>

#include "core/layout.h"
#include "core/session.h"
#include "session_pair.h"

namespace shm::test {

// What a hostile peer can do to the memory it shares with its victim.
class Misdeeds {
 public:
  // Without `sealed` memory may be cut off, too.
  Misdeeds(SessionPair& pair, Session& victim, Side peer_side, bool sealed)
      : pair_(pair), victim_(victim), peer_side_(peer_side), sealed_(sealed) {}

  // One of them, by chance. May run while the victim does: each access is atomic.
  void Any(std::mt19937& random);

  void FlipBit(std::uint32_t offset, std::uint32_t bit);

 private:
  // Pushes an event as the peer.
  void Forge(std::uint32_t offset, std::uint32_t status);
  // Punches out a page, or cuts off what follows it when the memory is not sealed.
  void Cut(std::mt19937& random);

  SessionPair& pair_;
  Session& victim_;
  const Side peer_side_;
  const bool sealed_;
};

}  // namespace shm::test
