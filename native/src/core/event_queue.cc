#include "event_queue.h"

#include <cstring>

#include "atomics.h"
#include "layout.h"

namespace shm {

using namespace layout;

static_assert(sizeof(Event) == kElementBytes);
static_assert(offsetof(Event, stream_id) == kElementStream);
static_assert(offsetof(Event, offset) == kElementOffset);
static_assert(offsetof(Event, status) == kElementStatus);

namespace {

// A 64-bit counter is read and written in one piece when it lies inside one cache line, on arm64
// only when it is aligned as well.
bool Indivisible(const std::byte* counter) noexcept {
  const auto address = reinterpret_cast<std::uintptr_t>(counter);
#if defined(__aarch64__) || defined(__arm__)
  return address % sizeof(std::uint64_t) == 0;
#else
  return address % 4 == 0 && address % 64 <= 64 - sizeof(std::uint64_t);
#endif
}

}  // namespace

std::size_t EventQueue::RegionBytes(std::uint32_t capacity) noexcept {
  return 2 * (kRingHeaderBytes + kElementBytes * std::size_t{capacity});
}

void EventQueue::InitialiseRegion(std::span<std::byte> region, std::uint32_t capacity) noexcept {
  StoreRelaxed<std::uint32_t>(region.data() + kRingCapacity, capacity);
  StoreRelaxed<std::uint32_t>(region.data() + region.size() / 2 + kRingCapacity, capacity);
}

std::optional<EventQueue> EventQueue::Map(std::span<std::byte> ring) noexcept {
  if (ring.size() < kRingHeaderBytes) return std::nullopt;

  // Relaxed: the handshake's messages came after it was written.
  const auto capacity = LoadRelaxed<std::uint32_t>(ring.data() + kRingCapacity);
  if (capacity == 0 || capacity % kCapacityMultiple != 0) return std::nullopt;
  if ((ring.size() - kRingHeaderBytes) / kElementBytes < capacity) return std::nullopt;
  if (!Indivisible(ring.data() + kRingHead) || !Indivisible(ring.data() + kRingTail)) {
    return std::nullopt;
  }

  return EventQueue(ring, capacity);
}

EventQueue::EventQueue(std::span<std::byte> ring, std::uint32_t capacity) noexcept
    : ring_(ring.data()), capacity_(capacity) {}

// Counters are unsigned in here: whatever a hostile peer makes of them, also of the one that is ours
// to write, differences cannot overflow and slots stay inside the ring.

bool EventQueue::HasRoom() const noexcept { return Used() < capacity_; }

bool EventQueue::TryPush(const Event& event) noexcept {
  // Relaxed: this thread is the only writer of the tail.
  const auto tail = LoadRelaxed<std::uint64_t>(ring_ + kRingTail);
  // Acquire, pairs with the release in Advance: the consumer is done reading the slot we reuse.
  const auto head = LoadAcquire<std::uint64_t>(ring_ + kRingHead);
  if (tail - head >= capacity_) return false;

  std::memcpy(Slot(tail), &event, sizeof event);
  // Release, pairs with the acquire in Peek: slot and slices are whole before they are announced.
  StoreRelease<std::uint64_t>(ring_ + kRingTail, tail + 1);
  return true;
}

PopResult EventQueue::Peek(Event& event) const noexcept {
  // Relaxed: this thread is the only writer of the head.
  const auto head = LoadRelaxed<std::uint64_t>(ring_ + kRingHead);
  // Acquire, pairs with the release in TryPush.
  const auto tail = LoadAcquire<std::uint64_t>(ring_ + kRingTail);
  if (tail == head) return PopResult::kEmpty;
  if (tail - head > capacity_) return PopResult::kCorrupt;

  std::memcpy(&event, Slot(head), sizeof event);
  return PopResult::kEvent;
}

void EventQueue::Advance() noexcept {
  const auto head = LoadRelaxed<std::uint64_t>(ring_ + kRingHead);
  // Release, pairs with the acquire in TryPush: we have copied the slot out before giving it back.
  StoreRelease<std::uint64_t>(ring_ + kRingHead, head + 1);
}

// Whoever exchanges the flag second sees what the first did before: either the producer learns that
// the consumer sleeps, or the consumer's re-check sees the producer's tail. That needs each side to
// write the flag even where it does not change, and with an exchange: a plain store, or a
// compare-and-swap that fails, would not hand over the tail.
// docs/internals/memory-ordering.md has the peers that do otherwise.

bool EventQueue::ClaimWakeUp() noexcept {
  return Exchange<std::uint32_t>(ring_ + kRingWorking, 1) == 0;
}

bool EventQueue::TrySleep() noexcept {
  Exchange<std::uint32_t>(ring_ + kRingWorking, 0);
  // Sequential, for producers of shmipc that only compare the flag: not before it is cleared.
  const auto tail = LoadSequential<std::uint64_t>(ring_ + kRingTail);
  if (tail == LoadRelaxed<std::uint64_t>(ring_ + kRingHead)) return true;
  ExchangeRelaxed<std::uint32_t>(ring_ + kRingWorking, 1);
  return false;
}

void EventQueue::MarkAwake() noexcept { ExchangeRelaxed<std::uint32_t>(ring_ + kRingWorking, 1); }

void EventQueue::MarkLooking() noexcept {
  if (!consumer_looking()) ExchangeRelaxed<std::uint32_t>(ring_ + kRingWorking, kRingLooking);
}

std::int64_t EventQueue::Backlog() const noexcept {
  const auto used = Used();
  return used > capacity_ ? 0 : static_cast<std::int64_t>(used);
}

bool EventQueue::overwritten() const noexcept { return Used() > capacity_; }

bool EventQueue::consumer_awake() const noexcept {
  return LoadRelaxed<std::uint32_t>(ring_ + kRingWorking) != 0;
}

bool EventQueue::consumer_looking() const noexcept {
  return LoadRelaxed<std::uint32_t>(ring_ + kRingWorking) == kRingLooking;
}

std::byte* EventQueue::Slot(std::uint64_t position) const noexcept {
  return ring_ + kRingHeaderBytes + position % capacity_ * kElementBytes;
}

std::uint64_t EventQueue::Used() const noexcept {
  return LoadRelaxed<std::uint64_t>(ring_ + kRingTail) -
         LoadRelaxed<std::uint64_t>(ring_ + kRingHead);
}

}  // namespace shm
