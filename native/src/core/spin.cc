#include "spin.h"

#include <algorithm>
#include <chrono>

namespace shm {
namespace {

// Looks at the ring between two looks at the clock.
constexpr int kLooks = 16;

// Tells the processor that a loop waits for memory.
void Pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  asm volatile("yield");
#endif
}

}  // namespace

bool Spin::Wait(const EventQueue& queue) noexcept {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::nanoseconds(bound_ns_);
  do {
    for (int look = 0; look < kLooks; look++) {
      if (queue.Backlog() > 0) {
        hits_++;
        bound_ns_ = std::min(kMaxNs, 2 * bound_ns_);
        return true;
      }
      Pause();
    }
  } while (Clock::now() < end);
  misses_++;
  bound_ns_ = std::max(kMinNs, bound_ns_ / 2);
  return false;
}

}  // namespace shm
