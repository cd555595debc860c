#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <future>

#include "check.h"
#include "core/event_queue.h"
#include "core/session.h"
#include "session_pair.h"
#include "two_threads.h"

namespace shm {
namespace {

using namespace test;

constexpr std::uint32_t kCapacity = 16;
// Far beyond anything but a lost wake-up.
constexpr int kDeadlineMs = 20'000;

// Dekker's problem: one thread writes the tail and reads the flag, the other writes the flag and
// reads the tail. If both read the old value, an event lies in the ring of a sleeping consumer whom
// nobody wakes. No kernel in between, so that the two meet as closely and as often as can be.
TEST(APushAndASleepDoNotMissEachOther) {
  // Rounds in which either was first. With a single processor they hardly ever meet: then time ends
  // the test.
  constexpr std::uint32_t kRoundsEach = kSanitized ? 10'000 : 100'000;
  constexpr std::chrono::seconds kMostTime{5};
  // Whoever was first is held back, until they meet; bounded, for a producer that lost its
  // processor is late by far more.
  constexpr std::uint32_t kMaxDelay = 3000;

  alignas(64) std::array<std::byte, 24 + kCapacity * 12> ring{};
  std::memcpy(ring.data(), &kCapacity, sizeof kCapacity);
  EventQueue producer = EventQueue::Map(ring).value();
  EventQueue consumer = EventQueue::Map(ring).value();
  Turnstile start;
  Turnstile finish;
  bool pushed = false;
  bool claimed = false;
  auto thread = std::async(std::launch::async, [&] {
    for (std::uint32_t round = 1; start.Await(round); round++) {
      pushed = producer.TryPush({round, 0, 0});
      claimed = producer.ClaimWakeUp();
      finish.Open(round);
    }
  });
  const CloseAtEnd close(start);
  const auto until = std::chrono::steady_clock::now() + kMostTime;
  std::uint32_t slept_first = 0;
  std::uint32_t pushed_first = 0;
  std::uint32_t delay = 0;
  for (std::uint32_t round = 1; std::min(slept_first, pushed_first) < kRoundsEach; round++) {
    if (round % 1000 == 0 && std::chrono::steady_clock::now() > until) break;
    consumer.MarkAwake();
    start.Open(round);
    Dawdle(delay + round % 7);
    const bool slept = consumer.TrySleep();
    CHECK(finish.Await(round));
    CHECK(pushed);
    if (slept && !claimed) {
      throw CheckFailed("round " + std::to_string(round) + ": asleep beside an event, not woken");
    }
    (slept ? slept_first : pushed_first)++;
    if (slept && delay < kMaxDelay) delay++;
    if (!slept && delay > 0) delay--;
    Event event{};
    CHECK_EQ(consumer.Peek(event), PopResult::kEvent);
    CHECK_EQ(event.stream_id, round);
    consumer.Advance();
  }
}

void Say(Session& session, std::uint32_t value) {
  CHECK(session.Signal(1, Status::kCredit, value));
  session.WakePeer();
}

// The next event's value; blocks until there is one.
std::uint32_t Hear(Session& session, std::uint32_t patience, std::vector<std::uint32_t>& words) {
  while (session.Drain(words) == 0) {
    Dawdle(patience);
    if (!session.TrySleep()) continue;
    pollfd polled{session.parts().wake_us.get(), POLLIN, 0};
    CHECK_EQ(poll(&polled, 1, kDeadlineMs), 1);
    session.AcknowledgeWakeUp();
  }
  return words[2];
}

// The same with eventfds, as sessions do it: whoever has nothing to do blocks.
TEST(EveryWakeUpReachesAConsumerThatBlocks) {
  constexpr std::uint32_t kRounds = kSanitized ? 5'000 : 40'000;
  SessionPair pair;
  auto server = std::async(std::launch::async, [&pair] {
    std::vector<std::uint32_t> words(pair.server->MaxEventWords());
    for (std::uint32_t round = 1; round <= kRounds; round++) {
      CHECK_EQ(Hear(*pair.server, round % 500, words), round);
      Say(*pair.server, round);
    }
  });
  std::vector<std::uint32_t> words(pair.client->MaxEventWords());
  for (std::uint32_t round = 1; round <= kRounds; round++) {
    Say(*pair.client, round);
    CHECK_EQ(Hear(*pair.client, round % 300, words), round);
  }
  server.get();
  for (const Session* session : {pair.client.get(), pair.server.get()}) {
    CHECK(session->counters().wakes_received > 0);
    CHECK_EQ(session->counters().wakes_sent + session->counters().wakes_suppressed, kRounds);
  }
}

}  // namespace
}  // namespace shm
