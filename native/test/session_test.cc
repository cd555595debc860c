#include "core/session.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <set>

#include "check.h"
#include "session_pair.h"

namespace shm {
namespace {

using namespace test;

bool Readable(const UniqueFd& fd) {
  pollfd polled{fd.get(), POLLIN, 0};
  return poll(&polled, 1, 0) == 1;
}

void CheckNothingOut(const SessionPair& pair) {
  for (Session* session : {pair.client.get(), pair.server.get()}) {
    CHECK(session->Reclaim());
    CheckAccounts(*session);
    CHECK_EQ(Held(*session) + Lent(*session) + Borrowed(*session), 0u);
  }
}

TEST(MessagesArriveInOrderWithTheirBytes) {
  SessionPair pair;
  const std::array<std::uint32_t, 9> sizes = {1, 2, 4095, 4096, 4097, 33'000, 65'536, 65'537, 150'000};
  std::uint32_t seed = 0;
  for (auto& [from, to] : {std::pair(pair.client.get(), pair.server.get()),
                           std::pair(pair.server.get(), pair.client.get())}) {
    for (const std::uint32_t bytes : sizes) {
      SendMessage(*from, bytes, bytes, ++seed);
      SendMessage(*from, bytes + 1, 1, ++seed);
      const auto received = DrainAll(*to);
      CHECK_EQ(received.size(), 2u);
      CHECK_EQ(received[0].stream, bytes);
      CHECK_EQ(received[0].status, 0u);
      CHECK(Holds(*to, received[0], bytes, seed - 1));
      CHECK_EQ(received[1].stream, bytes + 1);
      CHECK(Holds(*to, received[1], 1, seed));
      CheckAccounts(*from);
      for (const Received& message : received) ReleaseAll(*to, message);
    }
  }
  CheckNothingOut(pair);
}

TEST(SlicesGoBackInAnyOrder) {
  SessionPair pair;
  for (std::uint32_t round = 0; round < 200; round++) {
    for (std::uint32_t i = 0; i < 10; i++) SendMessage(*pair.client, i, 100 + 700 * i, round + i);
    auto received = DrainAll(*pair.server);
    CHECK_EQ(received.size(), 10u);
    for (std::uint32_t i = 0; i < 10; i++) {
      CHECK(Holds(*pair.server, received[i], 100 + 700 * i, round + i));
    }
    for (std::uint32_t i = 0; i < 10; i++) ReleaseAll(*pair.server, received[(i * 7 + round) % 10]);
    CheckAccounts(*pair.client);
  }
  CheckNothingOut(pair);
}

TEST(EventsWithoutSlicesCarryTheirValue) {
  SessionPair pair;
  CHECK(pair.client->Signal(2, Status::kFin, 0));
  CHECK(pair.client->Signal(3, Status::kReset, 0));
  CHECK(pair.client->Signal(4, Status::kCredit, 0xffffffff));
  CHECK(pair.client->Signal(0xffffffff, Status::kClose, 0));
  const auto received = DrainAll(*pair.server);
  CHECK_EQ(received.size(), 4u);
  const std::array<std::array<std::uint32_t, 3>, 4> expected = {
      {{2, 2, 0}, {3, 3, 0}, {4, 4, 0xffffffff}, {0xffffffff, 1, 0}}};
  for (std::size_t i = 0; i < 4; i++) {
    CHECK_EQ(received[i].stream, expected[i][0]);
    CHECK_EQ(received[i].status, expected[i][1]);
    CHECK_EQ(received[i].value, expected[i][2]);
    CHECK(received[i].slices.empty());
  }
}

TEST(AFullRingTakesNothingAndTheSlicesStayWithTheSender) {
  SessionPair pair(1024 * 1024, 16);
  for (std::uint32_t i = 0; i < 16; i++) CHECK(pair.client->Signal(i, Status::kCredit, i));
  CHECK(!pair.client->Signal(16, Status::kFin, 0));
  std::vector<SliceSpan> spans;
  CHECK_EQ(pair.client->Allocate(100, spans), 100);
  CHECK(!pair.client->Send(16, spans));
  CHECK_EQ(pair.client->counters().ring_full, 2u);
  CHECK(!pair.client->corrupt());
  CHECK_EQ(Held(*pair.client), 1u);
  // The other direction has a ring of its own.
  SendMessage(*pair.server, 1, 10);

  CHECK_EQ(DrainAll(*pair.server).size(), 16u);
  CHECK(pair.client->Send(16, spans));
  const auto received = DrainAll(*pair.server);
  CHECK_EQ(received.size(), 1u);
  ReleaseAll(*pair.server, received[0]);
  ReleaseAll(*pair.client, DrainAll(*pair.client)[0]);
  CheckNothingOut(pair);
}

TEST(SlicesNotSentGoBackAtOnce) {
  SessionPair pair;
  std::vector<SliceSpan> spans;
  CHECK_EQ(pair.client->Allocate(5000, spans), 5000);
  for (const SliceSpan& span : spans) CHECK(pair.client->Release(span.slice));
  CHECK(!pair.client->Release(spans[0].slice));
  CheckNothingOut(pair);
}

TEST(AnExhaustedSenderGoesOnWhenSlicesComeBack) {
  SessionPair pair(1024 * 1024, 1024);
  std::vector<std::size_t> counts;
  for (int round = 0; round < 3; round++) {
    std::vector<SliceSpan> all;
    const std::int64_t covered = pair.client->Allocate(16 * 1024 * 1024, all);
    CHECK(covered > 400 * 1024);
    CHECK_EQ(pair.client->counters().allocation_failures, static_cast<unsigned>(2 * round + 1));
    counts.push_back(all.size());
    for (const SliceSpan& span : all) CHECK(pair.client->Send(1, {&span, 1}));
    std::vector<SliceSpan> none;
    CHECK_EQ(pair.client->Allocate(1, none), 0);
    CHECK_EQ(Lent(*pair.client), all.size());
    // The server's own slices are not concerned.
    SendMessage(*pair.server, 1, 100);
    ReleaseAll(*pair.client, DrainAll(*pair.client)[0]);

    const auto received = DrainAll(*pair.server);
    CHECK_EQ(received.size(), all.size());
    CHECK_EQ(Borrowed(*pair.server), all.size());
    // The peer returns slices silently: the next allocation finds them.
    ReleaseAll(*pair.server, received[0]);
    CHECK_EQ(pair.client->Allocate(1, none), 1);
    CHECK(pair.client->Release(none[0].slice));
    for (std::size_t i = 1; i < received.size(); i++) ReleaseAll(*pair.server, received[i]);
    CheckAccounts(*pair.client);
  }
  CHECK(counts[0] == counts[1] && counts[1] == counts[2]);
  CheckNothingOut(pair);
}

TEST(DrainStopsWhereTheNextMessageMightNotFit) {
  SessionPair pair;
  for (std::uint32_t i = 0; i < 20; i++) CHECK(pair.client->Signal(i, Status::kCredit, i));
  std::vector<std::uint32_t> words(pair.server->MaxEventWords() + 8);
  std::uint32_t next = 0;
  for (;;) {
    const std::int64_t used = pair.server->Drain(words);
    if (used == 0) break;
    CHECK_EQ(used, 12 < 4 * (20 - next) ? 12 : 4 * (20 - next));
    for (std::size_t at = 0; at < static_cast<std::size_t>(used); at += 4) {
      CHECK_EQ(words[at], next);
      next++;
    }
  }
  CHECK_EQ(next, 20u);
  CHECK_EQ(pair.server->counters().events_received, 20u);
}

TEST(DrainStopsBehindMessagesOfAMebibyte) {
  SessionPair pair(16 * 1024 * 1024);
  for (int i = 0; i < 3; i++) SendMessage(*pair.client, 1, Session::kDrainBytes / 2 + 1);
  std::vector<std::uint32_t> words(3 * pair.server->MaxEventWords());
  for (const std::uint64_t events : {2u, 3u, 3u}) {
    const auto used = static_cast<std::size_t>(pair.server->Drain(words));
    CHECK_EQ(pair.server->counters().events_received, events);
    // Of each message one slice: header offset, payload offset, bytes.
    for (std::size_t at = 0; at < used; at += 7) CHECK(pair.server->Release(words[at + 4]));
  }
  CHECK_EQ(pair.server->counters().bytes_received, 3 * (Session::kDrainBytes / 2 + 1));
  CheckNothingOut(pair);
}

TEST(AMessageMayTakeEverySliceThereIs) {
  SessionPair pair;
  std::vector<SliceSpan> all;
  pair.client->Allocate(16 * 1024 * 1024, all);
  CHECK(pair.client->Send(7, all));
  const auto received = DrainAll(*pair.server);
  CHECK_EQ(received.size(), 1u);
  CHECK_EQ(received[0].slices.size(), all.size());
  CHECK(4 + 3 * all.size() <= pair.server->MaxEventWords());
  ReleaseAll(*pair.server, received[0]);
  CheckNothingOut(pair);
}

TEST(WakesASleepingPeerOnce) {
  SessionPair pair;
  CHECK(!pair.client->wake_due());
  CHECK(pair.client->Signal(1, Status::kFin, 0));
  CHECK(pair.client->wake_due());
  CHECK(!pair.client->WakePeer());
  CHECK(!pair.client->wake_due());
  CHECK(Readable(pair.server->parts().wake_us));
  CHECK(!Readable(pair.client->parts().wake_us));
  CHECK(pair.client->Signal(2, Status::kFin, 0));
  CHECK(!pair.client->WakePeer());
  CHECK_EQ(pair.client->counters().wakes_sent, 1u);
  CHECK_EQ(pair.client->counters().wakes_suppressed, 1u);

  pair.server->AcknowledgeWakeUp();
  CHECK(!Readable(pair.server->parts().wake_us));
  CHECK_EQ(pair.server->counters().wakes_received, 1u);
  CHECK(!pair.server->TrySleep());
  CHECK_EQ(DrainAll(*pair.server).size(), 2u);
  CHECK(pair.server->TrySleep());
  CHECK(pair.client->Signal(3, Status::kFin, 0));
  CHECK(!pair.client->WakePeer());
  CHECK(Readable(pair.server->parts().wake_us));
}

TEST(APlainPeerIsToBeSentAPollingMessage) {
  SessionPair pair(1024 * 1024, 64, Discipline::kShared);
  CHECK(pair.client->Signal(1, Status::kClose, 0));
  CHECK(pair.client->WakePeer());
  CHECK(pair.client->Signal(2, Status::kClose, 0));
  CHECK(!pair.client->WakePeer());
}

// shmipc's rule: both ends take from and return to the same lists.
TEST(EndsWithPlainDisciplineShareTheirSlices) {
  SessionPair pair(1024 * 1024, 64, Discipline::kShared);
  for (std::uint32_t round = 0; round < 500; round++) {
    SendMessage(*pair.client, 2, 10'000, round);
    SendMessage(*pair.server, 2, 70'000, round + 1);
    const auto at_server = DrainAll(*pair.server);
    const auto at_client = DrainAll(*pair.client);
    CHECK(Holds(*pair.server, at_server[0], 10'000, round));
    CHECK(Holds(*pair.client, at_client[0], 70'000, round + 1));
    ReleaseAll(*pair.server, at_server[0]);
    ReleaseAll(*pair.client, at_client[0]);
    CheckAccounts(*pair.client);
    CheckAccounts(*pair.server);
  }
  std::vector<SliceSpan> all;
  CHECK(pair.server->Allocate(16 * 1024 * 1024, all) > 700 * 1024);
  std::uint64_t linked = 0;
  for (const SliceList& list : pair.client->region().lists()) {
    linked += list.touched() - std::max(1U, list.touched() / 8);
  }
  // An eighth is left to the peer.
  CHECK_EQ(all.size(), linked);
}

TEST(OpenRefusesMemoryThatHoldsNoSession) {
  SessionPair pair;
  std::string error;
  SessionParts parts{Side::kServer, Discipline::kOwned, {}, pair.buffers, pair.buffers, {}, {}, 1};
  CHECK(!Session::Check(parts, error));
  CHECK_EQ(error, "the queue region does not hold two rings whose capacity is a multiple of 16");
  CHECK(Session::Open(std::move(parts), error) == nullptr);
  CHECK_EQ(error, "the queue region does not hold two rings");
  parts = {Side::kServer, Discipline::kOwned, {}, pair.queues, pair.queues, {}, {}, 1};
  CHECK(!Session::Check(parts, error));
  CHECK(Session::Open(std::move(parts), error) == nullptr);
  CHECK_EQ(error, "list 0 has a payload of 0 bytes; payloads must be multiples of 4 and ascend");
}

}  // namespace
}  // namespace shm
