#include <array>

#include "check.h"
#include "core/atomics.h"
#include "core/event_queue.h"
#include "core/layout.h"
#include "scenarios.h"
#include "weak_memory.h"

namespace shm::scenarios {
namespace {

using namespace layout;
using weak::Random;

constexpr std::uint32_t kCapacity = 16;

struct Ring {
  Ring() {
    StoreRelaxed<std::uint32_t>(bytes.data() + kRingCapacity, kCapacity);
    weak::Share(bytes);
  }
  EventQueue Map() { return EventQueue::Map(bytes).value(); }
  std::byte* Word(std::size_t offset) { return bytes.data() + offset; }

  alignas(64) std::array<std::byte, kRingHeaderBytes + kCapacity * kElementBytes> bytes{};
};

bool IsEmpty(EventQueue& queue) {
  Event event{};
  return queue.Peek(event) == PopResult::kEmpty;
}

void DrainAll(EventQueue& queue) {
  Event event{};
  while (queue.Peek(event) == PopResult::kEvent) queue.Advance();
}

}  // namespace

// Slots are used again, and each event arrives once and in order.
std::string RingWrapsAround(std::uint32_t seed) {
  constexpr std::uint32_t kBefore = 14;
  constexpr std::uint32_t kEvents = 22;
  Ring ring;
  EventQueue producer = ring.Map();
  EventQueue consumer = ring.Map();
  for (std::uint32_t i = 0; i < kBefore; i++) CHECK(producer.TryPush({i, i, 0}));
  return weak::Run(
      seed,
      [&] {
        std::uint32_t next = kBefore;
        for (int tries = 0; tries < 60 && next < kEvents; tries++) {
          if (producer.TryPush({next, next, 0})) next++;
        }
      },
      [&] {
        std::uint32_t expected = 0;
        Event event{};
        for (int tries = 0; tries < 60 && expected < kEvents; tries++) {
          const PopResult result = consumer.Peek(event);
          CHECK(result != PopResult::kCorrupt);
          if (result == PopResult::kEmpty) continue;
          CHECK_EQ(event.stream_id, expected);
          consumer.Advance();
          expected++;
        }
      });
}

// A consumer that goes to sleep while events arrive. It may have been woken, come by itself, or take
// a wake-up for granted in between.
std::string SleepMeetsPush(std::uint32_t seed) {
  Ring ring;
  EventQueue producer = ring.Map();
  EventQueue consumer = ring.Map();
  alignas(8) std::array<std::byte, 4> eventfd{};
  const bool woken = seed % 2 == 0;
  StoreRelaxed<std::uint32_t>(ring.Word(kRingWorking), woken ? 1 : 0);
  bool sleeps = false;
  const std::string error = weak::Run(
      seed,
      [&] {
        for (std::uint32_t i = 0, events = 1 + Random(3); i < events; i++) {
          CHECK(producer.TryPush({i, i, 0}));
          if (producer.ClaimWakeUp()) Exchange<std::uint32_t>(eventfd.data(), 1);
        }
      },
      [&] {
        if (!woken || Random(2) == 0) consumer.MarkAwake();
        for (int turn = 0; turn < 4 && !sleeps; turn++) {
          if (Random(2) == 0) consumer.MarkLooking();
          if (Random(2) == 0) Exchange<std::uint32_t>(eventfd.data(), 0);
          DrainAll(consumer);
          sleeps = consumer.TrySleep();
        }
      });
  if (!error.empty() || !sleeps || IsEmpty(consumer)) return error;
  return LoadRelaxed<std::uint32_t>(eventfd.data()) == 0 ? "a lost wake-up" : "";
}

// shmipc-go's producer: every access is sequential, and it writes the flag only when it was clear.
std::string SleepMeetsPushOfPlainShmipc(std::uint32_t seed) {
  Ring ring;
  EventQueue consumer = ring.Map();
  StoreRelaxed<std::uint32_t>(ring.Word(kRingWorking), 1);
  bool claimed = false;
  bool sleeps = false;
  const std::string error = weak::Run(
      seed,
      [&] {
        weak::PlainWrite(ring.Word(kRingHeaderBytes), kElementBytes);
        Exchange<std::uint64_t>(ring.Word(kRingTail), 1);
        std::uint64_t clear = 0;
        claimed = weak::CompareSwap(ring.Word(kRingWorking), sizeof(std::uint32_t), clear, 1,
                                    weak::Order::kSequential);
      },
      [&] {
        for (int turn = 0; turn < 3 && !sleeps; turn++) {
          DrainAll(consumer);
          sleeps = consumer.TrySleep();
        }
      });
  if (error.empty() && sleeps && !claimed && !IsEmpty(consumer)) return "a lost wake-up";
  return error;
}

}  // namespace shm::scenarios
