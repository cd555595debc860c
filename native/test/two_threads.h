#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

// Two threads as the two ends of a session, for ThreadSanitizer and for races only time brings out.
namespace shm::test {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

// A turn one thread takes after the other. Spins, so that both move within nanoseconds, and yields
// when the other has no processor.
class Turnstile {
 public:
  static constexpr std::uint32_t kClosed = UINT32_MAX;

  void Open(std::uint32_t turn) { turn_.store(turn, std::memory_order_release); }
  // False when closed.
  bool Await(std::uint32_t turn) const {
    for (std::uint32_t spins = 0;; spins++) {
      const std::uint32_t now = turn_.load(std::memory_order_acquire);
      if (now == turn) return true;
      if (now == kClosed) return false;
      if (spins > 2000) std::this_thread::yield();
    }
  }

 private:
  alignas(64) std::atomic<std::uint32_t> turn_{0};
};

// Lets the other thread out of its turnstile whatever happens to this one.
class CloseAtEnd {
 public:
  explicit CloseAtEnd(Turnstile& turnstile) : turnstile_(turnstile) {}
  CloseAtEnd(const CloseAtEnd&) = delete;
  CloseAtEnd& operator=(const CloseAtEnd&) = delete;
  ~CloseAtEnd() { turnstile_.Open(Turnstile::kClosed); }

 private:
  Turnstile& turnstile_;
};

// A few nanoseconds, more or fewer: moves one thread's steps along the other's.
inline void Dawdle(std::uint32_t steps) {
  for (volatile std::uint32_t i = 0; i < steps;) i = i + 1;
}

}  // namespace shm::test
