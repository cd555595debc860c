#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace shm::test {

// One session between a victim, which behaves as the node layer does, and a peer that does what it
// can to the memory they share: words that mean something or any byte, before and while the victim
// works; forged events, lends, credits and returns; holes, and truncation where it is not sealed.
//
// Returns why the victim was retired; empty when the peer achieved nothing. Throws CheckFailed when the victim reads or writes what is not its to, delivers bytes that are not
// the peer's, loses count, or is retired without a reason it can name.
std::string RunHostile(std::uint32_t seed);

// How each reason begins that any some ten thousand runs meet.
std::span<const char* const> HostileReasons();

}  // namespace shm::test
