#pragma once

#include <cstddef>
#include <cstdint>

// Atomic access to words in shared memory. The only file with an atomic builtin.
//
// Shared words are reached through these functions and never through std::atomic objects: the peer
// process did not construct any, and on x86-64 the shmipc ring places its 64-bit counters at
// offsets 4 and 12, where a std::atomic<int64_t> may not live. Each word lies inside one cache line
// (EventQueue checks), which is what the processor needs to keep a plain access indivisible.
namespace shm {

template <typename T>
[[gnu::no_sanitize("alignment")]] inline T LoadRelaxed(const std::byte* word) noexcept {
  return __atomic_load_n(reinterpret_cast<const T*>(word), __ATOMIC_RELAXED);
}

template <typename T>
[[gnu::no_sanitize("alignment")]] inline T LoadAcquire(const std::byte* word) noexcept {
  return __atomic_load_n(reinterpret_cast<const T*>(word), __ATOMIC_ACQUIRE);
}

// For the load half of a store-then-load pair: ordered after an earlier Exchange.
template <typename T>
[[gnu::no_sanitize("alignment")]] inline T LoadSequential(const std::byte* word) noexcept {
  return __atomic_load_n(reinterpret_cast<const T*>(word), __ATOMIC_SEQ_CST);
}

template <typename T>
[[gnu::no_sanitize("alignment")]] inline void StoreRelaxed(std::byte* word, T value) noexcept {
  __atomic_store_n(reinterpret_cast<T*>(word), value, __ATOMIC_RELAXED);
}

template <typename T>
[[gnu::no_sanitize("alignment")]] inline void StoreRelease(std::byte* word, T value) noexcept {
  __atomic_store_n(reinterpret_cast<T*>(word), value, __ATOMIC_RELEASE);
}

// Sequentially consistent: a full barrier on x86-64 and arm64.
template <typename T>
[[gnu::no_sanitize("alignment")]] inline T Exchange(std::byte* word, T value) noexcept {
  return __atomic_exchange_n(reinterpret_cast<T*>(word), value, __ATOMIC_SEQ_CST);
}

// Orders nothing, but does not break the chain from a peer's Exchange to our next, as a store would.
template <typename T>
[[gnu::no_sanitize("alignment")]] inline T ExchangeRelaxed(std::byte* word, T value) noexcept {
  return __atomic_exchange_n(reinterpret_cast<T*>(word), value, __ATOMIC_RELAXED);
}

// Acquires and releases. On failure `expected` holds what was found, and nothing is ordered.
template <typename T>
[[gnu::no_sanitize("alignment")]] inline bool CompareExchange(std::byte* word, T& expected,
                                                              T desired) noexcept {
  return __atomic_compare_exchange_n(reinterpret_cast<T*>(word), &expected, desired, false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

// The same, but only releases.
template <typename T>
[[gnu::no_sanitize("alignment")]] inline bool CompareExchangeRelease(std::byte* word, T& expected,
                                                                     T desired) noexcept {
  return __atomic_compare_exchange_n(reinterpret_cast<T*>(word), &expected, desired, false,
                                     __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

// For counters both ends change: orders nothing. Returns the value after the addition.
template <typename T>
[[gnu::no_sanitize("alignment")]] inline T AddFetchRelaxed(std::byte* word, T value) noexcept {
  return __atomic_add_fetch(reinterpret_cast<T*>(word), value, __ATOMIC_RELAXED);
}

}  // namespace shm
