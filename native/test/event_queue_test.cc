#include "core/event_queue.h"

#include <array>
#include <cstring>
#include <limits>
#include <vector>

#include "check.h"
#include "core/atomics.h"
#include "core/layout.h"

namespace shm {
namespace {

using namespace layout;

constexpr std::uint32_t kCapacity = 16;

// A queue region at an address like a mapping's.
struct QueueMemory {
  QueueMemory() { EventQueue::InitialiseRegion(bytes, kCapacity); }
  std::span<std::byte> Half(std::size_t index) {
    return std::span<std::byte>(bytes).subspan(index * bytes.size() / 2, bytes.size() / 2);
  }
  EventQueue Map(std::size_t half = 0) { return EventQueue::Map(Half(half)).value(); }
  void SetCounter(std::size_t offset, std::int64_t value) {
    std::memcpy(bytes.data() + offset, &value, sizeof value);
  }
  std::uint32_t Working() { return LoadRelaxed<std::uint32_t>(bytes.data() + kRingWorking); }

  alignas(64) std::array<std::byte, 2 * (kRingHeaderBytes + kCapacity * kElementBytes)> bytes{};
};

bool Pop(EventQueue& queue, Event& event) {
  if (queue.Peek(event) != PopResult::kEvent) return false;
  queue.Advance();
  return true;
}

TEST(PopsWhatWasPushedInOrder) {
  QueueMemory memory;
  EventQueue producer = memory.Map();
  EventQueue consumer = memory.Map();
  Event event{};

  CHECK_EQ(consumer.Peek(event), PopResult::kEmpty);
  CHECK(producer.TryPush({1, 100, 3}));
  CHECK(producer.TryPush({2, 200, 4}));
  CHECK_EQ(consumer.Backlog(), 2);
  CHECK(Pop(consumer, event));
  CHECK_EQ(event.stream_id, 1u);
  CHECK_EQ(event.offset, 100u);
  CHECK_EQ(event.status, 3u);
  CHECK(Pop(consumer, event));
  CHECK_EQ(event.stream_id, 2u);
  CHECK_EQ(consumer.Peek(event), PopResult::kEmpty);
}

TEST(PeekLeavesTheEventInTheRing) {
  QueueMemory memory;
  EventQueue queue = memory.Map();
  Event event{};
  CHECK(queue.TryPush({7, 0, 0}));
  CHECK_EQ(queue.Peek(event), PopResult::kEvent);
  CHECK_EQ(queue.Peek(event), PopResult::kEvent);
  CHECK_EQ(queue.Backlog(), 1);
}

TEST(RefusesAPushIntoAFullRingUntilAnEventWasTaken) {
  QueueMemory memory;
  EventQueue queue = memory.Map();
  Event event{};
  for (std::uint32_t i = 0; i < kCapacity; i++) CHECK(queue.TryPush({i, 0, 0}));
  CHECK(!queue.TryPush({kCapacity, 0, 0}));
  CHECK(Pop(queue, event));
  CHECK(queue.TryPush({kCapacity, 0, 0}));
  CHECK(!queue.TryPush({kCapacity + 1, 0, 0}));
}

TEST(GoesRoundManyTimes) {
  QueueMemory memory;
  EventQueue queue = memory.Map();
  std::uint32_t next = 0;
  for (std::uint32_t pushed = 0; pushed < 1000;) {
    for (std::uint32_t i = 0; i < 1 + pushed % kCapacity; i++) {
      CHECK(queue.TryPush({pushed, ~pushed, 0}));
      pushed++;
    }
    for (Event event{}; Pop(queue, event); next++) {
      CHECK_EQ(event.stream_id, next);
      CHECK_EQ(event.offset, ~next);
    }
    CHECK_EQ(next, pushed);
  }
}

TEST(TheTwoRingsOfARegionShareNoByte) {
  QueueMemory memory;
  EventQueue first = memory.Map(0);
  EventQueue second = memory.Map(1);
  for (std::uint32_t i = 0; i < kCapacity; i++) CHECK(first.TryPush({1, i, 0}));
  for (std::uint32_t i = 0; i < kCapacity; i++) CHECK(second.TryPush({2, i, 0}));
  Event event{};
  for (std::uint32_t i = 0; i < kCapacity; i++) {
    CHECK(Pop(first, event));
    CHECK(event.stream_id == 1 && event.offset == i);
    CHECK(Pop(second, event));
    CHECK(event.stream_id == 2 && event.offset == i);
  }
}

TEST(RefusesACapacityThatWouldSplitACounterOrDoesNotFit) {
  QueueMemory memory;
  for (const std::uint32_t capacity : {0u, 1u, 8u, 15u, 17u, 32u, 0xfffffff0u, 0xffffffffu}) {
    std::memcpy(memory.bytes.data() + kRingCapacity, &capacity, sizeof capacity);
    CHECK(!EventQueue::Map(memory.Half(0)).has_value());
  }
  CHECK(!EventQueue::Map(memory.Half(1).first(kRingHeaderBytes - 1)).has_value());
  CHECK(!EventQueue::Map({}).has_value());
}

// Half of a region of odd size, or of one with slack, starts anywhere.
TEST(RefusesARingWhoseCountersWouldNotBeIndivisible) {
  alignas(64) std::array<std::byte, 1024> bytes{};
  constexpr std::size_t kRing = kRingHeaderBytes + kCapacity * kElementBytes;
  const std::uint32_t capacity = kCapacity;
  for (std::size_t at = 0; at < 128; at++) {
    std::memcpy(bytes.data() + at + kRingCapacity, &capacity, sizeof capacity);
    bool whole = at % 4 == 0;
    for (const std::size_t counter : {kRingHead, kRingTail}) {
      whole = whole && (at + counter) / 64 == (at + counter + 7) / 64;
    }
    const bool mapped = EventQueue::Map(std::span(bytes).subspan(at, kRing)).has_value();
    // arm64 wants more: natural alignment.
    CHECK(!mapped || whole);
    if (at % 64 == 0 || at % 64 == 24) CHECK(mapped);
    bytes = {};
  }
}

TEST(KeepsTheCapacityItWasMappedWith) {
  QueueMemory memory;
  EventQueue queue = memory.Map();
  const std::uint32_t capacity = 1'000'000;
  std::memcpy(memory.bytes.data() + kRingCapacity, &capacity, sizeof capacity);
  for (std::uint32_t i = 0; i < kCapacity; i++) CHECK(queue.TryPush({i, 0, 0}));
  CHECK(!queue.TryPush({kCapacity, 0, 0}));
  CHECK_EQ(queue.capacity(), kCapacity);
}

TEST(ReportsCountersNoPeerCouldHaveWritten) {
  constexpr auto kMin = std::numeric_limits<std::int64_t>::min();
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  const std::array<std::array<std::int64_t, 2>, 8> pairs = {{{0, kCapacity + 1},
                                                             {0, -1},
                                                             {1, 0},
                                                             {0, kMin},
                                                             {0, kMax},
                                                             {kMin, kMax},
                                                             {kMax, kMin + kCapacity + 1},
                                                             {kMax, 0}}};
  for (const auto& [head, tail] : pairs) {
    QueueMemory memory;
    EventQueue queue = memory.Map();
    memory.SetCounter(kRingHead, head);
    memory.SetCounter(kRingTail, tail);
    Event event{};
    CHECK_EQ(queue.Peek(event), PopResult::kCorrupt);
    CHECK(!queue.TryPush({1, 2, 3}));
    CHECK(queue.overwritten());
    CHECK_EQ(queue.Backlog(), 0);
  }
}

// The peer may also overwrite the counter that is ours: the slot must stay inside the ring.
TEST(StaysInsideTheRingWhateverTheCountersSay) {
  constexpr std::byte kFence{0xa5};
  constexpr std::size_t kRing = kRingHeaderBytes + kCapacity * kElementBytes;
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  for (const std::int64_t start : {std::int64_t{-1}, std::int64_t{-17}, kMax, kMax - 1, -kMax}) {
    QueueMemory memory;
    std::fill(memory.bytes.begin() + kRing, memory.bytes.end(), kFence);
    EventQueue queue = memory.Map();
    memory.SetCounter(kRingHead, start);
    memory.SetCounter(kRingTail, start);
    CHECK(!queue.overwritten());
    for (std::uint32_t i = 0; i < 2 * kCapacity; i++) {
      Event event{};
      if (queue.TryPush({i, i, i}) && Pop(queue, event)) CHECK_EQ(event.offset, i);
    }
    for (std::size_t i = kRing; i < memory.bytes.size(); i++) CHECK(memory.bytes[i] == kFence);
  }
}

TEST(OnlyTheFirstPushAfterASleepClaimsTheWakeUp) {
  QueueMemory memory;
  EventQueue producer = memory.Map();
  EventQueue consumer = memory.Map();
  Event event{};

  CHECK(producer.TryPush({1, 0, 0}));
  CHECK(producer.ClaimWakeUp());
  CHECK(producer.TryPush({2, 0, 0}));
  CHECK(!producer.ClaimWakeUp());
  CHECK(!consumer.TrySleep());
  CHECK_EQ(memory.Working(), 1u);
  while (Pop(consumer, event)) {
  }
  CHECK(consumer.TrySleep());
  CHECK_EQ(memory.Working(), 0u);
  CHECK(producer.TryPush({3, 0, 0}));
  CHECK(producer.ClaimWakeUp());
}

TEST(AConsumerThatMarkedItselfAwakeIsNotWoken) {
  QueueMemory memory;
  EventQueue queue = memory.Map();
  CHECK(queue.TrySleep());
  queue.MarkAwake();
  CHECK(queue.TryPush({1, 0, 0}));
  CHECK(!queue.ClaimWakeUp());
}

TEST(AConsumerThatLooksIsNotWokenAndSaysSo) {
  QueueMemory memory;
  EventQueue queue = memory.Map();
  queue.MarkAwake();
  CHECK(!queue.consumer_looking());
  queue.MarkLooking();
  CHECK(queue.consumer_looking());
  CHECK(queue.TryPush({1, 0, 0}));
  CHECK(!queue.ClaimWakeUp());
  CHECK(!queue.consumer_looking());
  queue.MarkLooking();
  Event event{};
  CHECK(Pop(queue, event));
  CHECK(queue.TrySleep());
  CHECK(!queue.consumer_looking());
  CHECK(!queue.consumer_awake());
}

}  // namespace
}  // namespace shm
