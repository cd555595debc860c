#pragma once

#include <cstdint>
#include <string>

// Each is one run under one schedule; returns what went wrong, or nothing.
namespace shm::scenarios {

std::string RingWrapsAround(std::uint32_t seed);
std::string SleepMeetsPush(std::uint32_t seed);
std::string SleepMeetsPushOfPlainShmipc(std::uint32_t seed);
std::string OwnedListReturns(std::uint32_t seed);
std::string SharedListWithOneTaker(std::uint32_t seed);
std::string SharedListWithTwoTakers(std::uint32_t seed);
std::string SharedListWhoseTakersMeet(std::uint32_t seed);

}  // namespace shm::scenarios
