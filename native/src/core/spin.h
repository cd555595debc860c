#pragma once

#include <cstdint>

#include "event_queue.h"

namespace shm {

// Waiting for events without sleeping, for a bounded time: what a peer on another processor answers
// within microseconds need not cost a sleep, a wake-up and a system call on each side.
//
// Adaptive: a wait that was worth it doubles the next one's bound, one in vain halves it.
class Spin {
 public:
  static constexpr std::uint32_t kMinNs = 1'000;
  // Sockets and timers of the loop wait as long.
  static constexpr std::uint32_t kMaxNs = 50'000;

  // True as soon as `queue` has something to peek at; false when the time is over.
  bool Wait(const EventQueue& queue) noexcept;

  std::uint32_t bound_ns() const noexcept { return bound_ns_; }
  std::uint64_t hits() const noexcept { return hits_; }
  std::uint64_t misses() const noexcept { return misses_; }

 private:
  std::uint32_t bound_ns_ = kMaxNs / 4;
  std::uint64_t hits_ = 0;
  std::uint64_t misses_ = 0;
};

}  // namespace shm
