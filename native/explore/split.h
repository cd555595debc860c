#pragma once

#include <cstddef>

#include "core/atomics.h"

// Mutants of read-modify-write accesses: a load and a store, with room between them.
namespace shm {

template <typename T>
T ExchangeSplit(std::byte* word, T value) {
  const T before = LoadRelaxed<T>(word);
  StoreRelaxed<T>(word, value);
  return before;
}

template <typename T>
bool CompareExchangeSplit(std::byte* word, T& expected, T desired) {
  const T before = LoadAcquire<T>(word);
  if (before == expected) {
    StoreRelease<T>(word, desired);
    return true;
  }
  expected = before;
  return false;
}

template <typename T>
T AddFetchSplit(std::byte* word, T value) {
  const T after = static_cast<T>(LoadRelaxed<T>(word) + value);
  StoreRelaxed<T>(word, after);
  return after;
}

}  // namespace shm
