#include "spin.h"

#include <algorithm>
#include <chrono>

namespace shm {
namespace {

// Looks at the ring between two looks at the clock.
constexpr int kLooks = 16;
// What waits are remembered to have been worth.
constexpr std::int32_t kMaxScore = 8;
constexpr std::int32_t kTrialScore = 3;
constexpr std::int32_t kMissScore = 2;
// Most turns between two waits because the peer looks, when those were in vain.
constexpr std::uint32_t kMaxReplyPause = 64;

// Tells the processor that a loop waits for memory.
void Pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  asm volatile("yield");
#endif
}

bool LookFor(const EventQueue& queue, std::uint32_t bound_ns) noexcept {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::nanoseconds(bound_ns);
  do {
    for (int look = 0; look < kLooks; look++) {
      if (queue.Backlog() > 0) return true;
      Pause();
    }
  } while (Clock::now() < end);
  return false;
}

}  // namespace

bool Spin::Wait(const EventQueue& queue) noexcept {
  if (LookFor(queue, bound_ns_)) {
    hits_++;
    bound_ns_ = std::min(kMaxNs, 2 * bound_ns_);
    return true;
  }
  misses_++;
  bound_ns_ = std::max(kMinNs, bound_ns_ / 2);
  return false;
}

std::uint32_t ThriftySpin::Bound(bool peer_looks, std::uint64_t slept_ns) noexcept {
  replies_ = false;
  if (score_ > 0) return kWorthNs;
  if (peer_looks) {
    replies_ = until_reply_ == 0;
    if (replies_) return kWorthNs;
    until_reply_--;
  }
  if (until_trial_ > 0) until_trial_--;
  return until_trial_ == 0 && slept_ns < kShortSleepNs ? kTrialNs : 0;
}

bool ThriftySpin::Wait(const EventQueue& queue, std::uint32_t bound_ns) noexcept {
  if (LookFor(queue, bound_ns)) {
    hits_++;
    Hit(bound_ns == kTrialNs);
    return true;
  }
  misses_++;
  Miss();
  return false;
}

void ThriftySpin::Hit(bool trial) noexcept {
  if (trial) {
    score_ = kTrialScore;
    return;
  }
  score_ = std::min(kMaxScore, score_ + 1);
  reply_pause_ = 0;
  if (score_ == kMaxScore) pause_ = kMinPause;
}

void ThriftySpin::Miss() noexcept {
  if (replies_) {
    reply_pause_ = std::min(kMaxReplyPause, 2 * reply_pause_ + 1);
    until_reply_ = reply_pause_;
    return;
  }
  score_ = std::max(0, score_ - kMissScore);
  if (score_ > 0) return;
  pause_ = std::min(kMaxPause, 2 * pause_);
  until_trial_ = pause_;
}

}  // namespace shm
