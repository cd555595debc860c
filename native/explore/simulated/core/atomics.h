#pragma once

#include <cstddef>
#include <cstdint>

#include "weak_memory.h"

// native/src/core/atomics.h, simulated: each function with the order the original has.
namespace shm {

template <typename T>
T LoadRelaxed(const std::byte* word) {
  return static_cast<T>(weak::Load(word, sizeof(T), weak::Order::kRelaxed));
}

template <typename T>
T LoadAcquire(const std::byte* word) {
  return static_cast<T>(weak::Load(word, sizeof(T), weak::Order::kAcquire));
}

template <typename T>
T LoadSequential(const std::byte* word) {
  return static_cast<T>(weak::Load(word, sizeof(T), weak::Order::kSequential));
}

template <typename T>
std::uint64_t Bits(T value) {
  return static_cast<std::make_unsigned_t<T>>(value);
}

template <typename T>
void StoreRelaxed(std::byte* word, T value) {
  weak::Store(word, sizeof(T), Bits(value), weak::Order::kRelaxed);
}

template <typename T>
void StoreRelease(std::byte* word, T value) {
  weak::Store(word, sizeof(T), Bits(value), weak::Order::kRelease);
}

template <typename T>
T ExchangeIn(std::byte* word, T value, weak::Order order) {
  return static_cast<T>(
      weak::Modify(word, sizeof(T), order, [value](std::uint64_t) { return Bits(value); }));
}

template <typename T>
T Exchange(std::byte* word, T value) {
  return ExchangeIn(word, value, weak::Order::kSequential);
}

template <typename T>
T ExchangeRelaxed(std::byte* word, T value) {
  return ExchangeIn(word, value, weak::Order::kRelaxed);
}

template <typename T>
bool CompareExchangeIn(std::byte* word, T& expected, T desired, weak::Order order) {
  std::uint64_t found = Bits(expected);
  const bool done = weak::CompareSwap(word, sizeof(T), found, Bits(desired), order);
  expected = static_cast<T>(found);
  return done;
}

template <typename T>
bool CompareExchange(std::byte* word, T& expected, T desired) {
  return CompareExchangeIn(word, expected, desired, weak::Order::kAcquireRelease);
}

template <typename T>
bool CompareExchangeRelease(std::byte* word, T& expected, T desired) {
  return CompareExchangeIn(word, expected, desired, weak::Order::kRelease);
}

template <typename T>
T AddFetchRelaxed(std::byte* word, T value) {
  const auto add = [value](std::uint64_t before) {
    return Bits(static_cast<T>(static_cast<T>(before) + value));
  };
  return static_cast<T>(
      static_cast<T>(weak::Modify(word, sizeof(T), weak::Order::kRelaxed, add)) + value);
}

// Weaker than any the core uses, for its mutants.

template <typename T>
bool CompareExchangeAcquire(std::byte* word, T& expected, T desired) {
  return CompareExchangeIn(word, expected, desired, weak::Order::kAcquire);
}

template <typename T>
bool CompareExchangeRelaxed(std::byte* word, T& expected, T desired) {
  return CompareExchangeIn(word, expected, desired, weak::Order::kRelaxed);
}

}  // namespace shm
