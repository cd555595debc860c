#pragma once

#include <cstdint>

#include "event_queue.h"

namespace shm {

// Waiting for events without sleeping, for a bounded time: what a peer on another processor answers
// within microseconds need not cost a sleep, a wake-up and a system call on each side.

// For a process with a processor of its own. Adaptive: a wait that was worth it doubles the next
// one's bound, one in vain halves it.
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

// For a process that shares its processors: waits only where that has lately cost less than to
// sleep, and hardly ever finds out.
//
// Two ends that both sleep look slow to each other, since each answer takes a wake-up. So one end
// tries now and then for as long as a wake-up takes, and says so (EventQueue::MarkLooking); the
// other then waits as well, and if neither has more to do than answer, both go on without sleeping.
class ThriftySpin {
 public:
  // What a sleep and the wake-up out of it cost, of both ends' processor time: to wait longer
  // cannot pay.
  static constexpr std::uint32_t kWorthNs = 8'000;
  // A trial: what a peer needs that must be woken first.
  static constexpr std::uint32_t kTrialNs = 100'000;
  // After a longer sleep none is made: the peer had more to do, or nothing.
  static constexpr std::uint32_t kShortSleepNs = 2 * kTrialNs;
  // Sleeps from one trial to the next, twice as many after each in vain.
  static constexpr std::uint32_t kMinPause = 8;
  static constexpr std::uint32_t kMaxPause = 2048;

  // How long to wait instead of going to sleep; 0: sleep. `peer_looks`: when last told of an event
  // the peer was waiting like this. `slept_ns`: how long the last sleep took.
  std::uint32_t Bound(bool peer_looks, std::uint64_t slept_ns) noexcept;
  // Waits as long as Bound said. True as soon as `queue` has something to peek at.
  bool Wait(const EventQueue& queue, std::uint32_t bound_ns) noexcept;

  // The wait Bound asked for is one because the peer looks, and must not make the peer look.
  bool replies() const noexcept { return replies_; }

  std::uint64_t hits() const noexcept { return hits_; }
  std::uint64_t misses() const noexcept { return misses_; }

 private:
  void Hit(bool trial) noexcept;
  void Miss() noexcept;

  // Above 0: waiting pays. A hit adds 1, a miss takes 2.
  std::int32_t score_ = 0;
  std::uint32_t pause_ = kMinPause;
  std::uint32_t until_trial_ = kMinPause;
  // The same for waits because the peer looks.
  std::uint32_t reply_pause_ = 0;
  std::uint32_t until_reply_ = 0;
  bool replies_ = false;
  std::uint64_t hits_ = 0;
  std::uint64_t misses_ = 0;
};

}  // namespace shm
