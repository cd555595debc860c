#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

// Two threads on a machine that reorders as much as C++ lets it: a simulator of its memory model.
//
// Each word keeps every value that was stored to it. A load may get any of them that coherence and
// what its thread has acquired do not rule out, and a store may land before stores its thread knows
// nothing of; both at random, as is which thread goes on before each access. So orders that x86-64
// gives for nothing are tested on x86-64 too. Plain accesses are checked for races as
// ThreadSanitizer does. Not simulated: a load that gets what is only stored later.
namespace shm::weak {

enum class Order : std::uint8_t {
  kRelaxed,
  kAcquire,
  kRelease,
  kAcquireRelease,
  kSequential,
};

// Outside of Run these act on memory directly.
std::uint64_t Load(const std::byte* word, std::size_t bytes, Order order);
void Store(std::byte* word, std::size_t bytes, std::uint64_t value, Order order);
// Reads the newest value and stores `change(value)`.
std::uint64_t Modify(std::byte* word, std::size_t bytes, Order order,
                     const std::function<std::uint64_t(std::uint64_t)>& change);
// Stores `desired` when the newest value is `expected`. Else `expected` receives some value.
bool CompareSwap(std::byte* word, std::size_t bytes, std::uint64_t& expected,
                 std::uint64_t desired, Order order);

// Plain accesses: memcpy is redirected here, see the linker's --wrap.
void PlainRead(const void* data, std::size_t bytes);
void PlainWrite(const void* data, std::size_t bytes);

// While one lives the other thread does not run. What it did may be unseen all the same.
class Uninterrupted {
 public:
  Uninterrupted();
  Uninterrupted(const Uninterrupted&) = delete;
  Uninterrupted& operator=(const Uninterrupted&) = delete;
  ~Uninterrupted();
};

// Memory both threads use, for the next run: plain accesses elsewhere are not looked at.
void Share(std::span<const std::byte> memory);

// Loads of this word get the newest value, in the next run. They still learn nothing else.
void AlwaysNewest(const std::byte* word);

std::uint32_t Random(std::uint32_t bound);

// One schedule of both. Returns what went wrong: a race, or what a body threw; else nothing.
std::string Run(std::uint32_t seed, const std::function<void()>& first,
                const std::function<void()>& second);

}  // namespace shm::weak
