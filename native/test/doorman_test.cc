#include "core/doorman.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>

#include "check.h"
#include "core/unix_socket.h"
#include "hotel.h"
#include "session_pair.h"

namespace shm {
namespace {

using namespace test;

TEST(BothEndsOfACallGetASession) {
  Hotel hotel;
  hotel.Listen(1, "a");
  hotel.doorman().Connect(2, hotel.Path("a"), kClientOptions);
  const auto arrivals = hotel.Await(2);
  CHECK_EQ(arrivals[0].id, 1u);
  CHECK_EQ(arrivals[1].id, 2u);
  CHECK(IsSession(arrivals[0]) && IsSession(arrivals[1]));
  Session& server = *arrivals[0].session;
  Session& client = *arrivals[1].session;
  SendMessage(client, 2, 70'000, 5);
  const auto request = DrainAll(server);
  CHECK(Holds(server, request.at(0), 70'000, 5));
  SendMessage(server, 2, 3000, 6);
  CHECK(Holds(client, DrainAll(client).at(0), 3000, 6));
}

TEST(ManyCallsAtOnceAllGetSessions) {
  Hotel hotel;
  hotel.Listen(0, "a");
  for (std::uint32_t id = 1; id <= 30; id++) {
    hotel.doorman().Connect(id, hotel.Path("a"), kClientOptions);
  }
  const auto arrivals = hotel.Await(60);
  for (std::size_t i = 0; i < 60; i++) {
    CHECK(IsSession(arrivals[i]));
    CHECK_EQ(arrivals[i].id, i < 30 ? 0 : i - 29);
  }
}

TEST(AnHttpGuestIsHandedOverWithAllItSaid) {
  Hotel hotel;
  hotel.Listen(1, "a");
  Peer guest = hotel.Dial("a");
  guest.Send(Bytes("GET / HTTP/1.1\r\n"));
  auto arrivals = hotel.Await(1);
  CHECK(arrivals[0].session == nullptr && arrivals[0].error.empty());
  Peer host(std::move(arrivals[0].plain));
  CHECK_EQ(host.ReadText(16), "GET / HTTP/1.1\r\n");
  host.Send(Bytes("HTTP/1.1 200"));
  CHECK_EQ(guest.ReadText(12), "HTTP/1.1 200");
}

TEST(WhoAsksWhatIsInMemoryIsHandedOverWhenItIsOurUser) {
  Hotel hotel;
  hotel.Listen(1, "a");
  Peer inspector = hotel.Dial("a");
  inspector.Send(Bytes("inspect\n"));
  auto arrivals = hotel.Await(1);
  CHECK(arrivals[0].session == nullptr && !arrivals[0].plain);
  Peer host(std::move(arrivals[0].inspector));
  CHECK(host.Silent());
  host.Send(Bytes("{}"));
  CHECK_EQ(inspector.ReadText(2), "{}");
  // Nothing else that begins so is meant.
  for (const char* text : {"inspect", "inspect HTTP/1.1", "i"}) {
    Peer guest = hotel.Dial("a");
    guest.Send(Bytes(text));
    CHECK(static_cast<bool>(hotel.Await(1)[0].plain));
  }
}

TEST(EveryFirstByteButZeroIsHttps) {
  Hotel hotel;
  hotel.Listen(1, "a");
  for (const unsigned first : {1u, 0x16u, 'A' + 0u, 'z' + 0u, 0x80u, 0xffu}) {
    Peer guest = hotel.Dial("a");
    guest.Send(Bytes({first}));
    auto arrivals = hotel.Await(1);
    Peer host(std::move(arrivals[0].plain));
    CHECK(host.Read(1) == Bytes({first}));
  }
}

// Three ways to keep the doorman waiting, at once: each costs a second.
TEST(NobodyKeepsTheDoormanWaiting) {
  Hotel hotel;
  hotel.Listen(1, "a");
  // Connected and silent: might be HTTP, whose deadlines are its own.
  Peer silent = hotel.Dial("a");
  // Began a handshake: can be nothing else.
  Peer stuck = hotel.Dial("a");
  stuck.Send(Header(4));
  CHECK(stuck.Read(8) == Header(4));
  Peer half = hotel.Dial("a");
  half.Send(Bytes({0, 0}));
  // A server that accepts in its backlog only.
  const UniqueFd nobody = hotel.Bind("nobody");
  hotel.doorman().Connect(2, hotel.Path("nobody"), kClientOptions);

  auto arrivals = hotel.Await(4);
  const auto plain = std::ranges::find_if(
      arrivals, [](const Arrival& arrival) { return static_cast<bool>(arrival.plain); });
  CHECK(plain != arrivals.end());
  CHECK_EQ(plain->id, 1u);
  Peer host(std::move(plain->plain));
  silent.Send(Bytes("late"));
  CHECK_EQ(host.ReadText(4), "late");
  std::erase_if(arrivals, [](const Arrival& arrival) { return arrival.error.empty(); });
  CHECK_EQ(arrivals.size(), 3u);
  for (const Arrival& arrival : arrivals) {
    CHECK_EQ(arrival.error, "the peer did not finish the handshake in time");
    CHECK_EQ(arrival.connect_errno, 0);
  }
  CHECK_EQ(arrivals[2].id, 2u);
  stuck.ExpectEnd();
  half.ExpectEnd();
}

TEST(AGuestThatLeavesAtOnceIsForgotten) {
  Hotel hotel;
  hotel.Listen(1, "a");
  hotel.Dial("a").Close();
  Peer next = hotel.Dial("a");
  next.Send(Bytes("x"));
  CHECK(static_cast<bool>(hotel.Await(1)[0].plain));
}

TEST(ARefusedGuestIsReportedAndHangsNobodyUp) {
  Hotel hotel;
  hotel.Listen(1, "a");
  Peer bad = hotel.Dial("a");
  bad.Send(Header(4, 8, 2));
  const auto arrivals = hotel.Await(1);
  CHECK_EQ(arrivals[0].error, "protocol version 2, only 3 is spoken here");
  CHECK(arrivals[0].session == nullptr && !arrivals[0].plain);
  bad.ExpectEnd();
  hotel.doorman().Connect(2, hotel.Path("a"), kClientOptions);
  CHECK(IsSession(hotel.Await(2)[1]));
}

TEST(AServerThatIsNotShmipcIsAFailedCall) {
  Hotel hotel;
  const UniqueFd listener = hotel.Bind("http");
  hotel.doorman().Connect(1, hotel.Path("http"), kClientOptions);
  Peer server = Answer(listener);
  server.Read(8);
  server.Send(Bytes("HTTP/1.1 400 Bad Request\r\n\r\n"));
  const auto arrivals = hotel.Await(1);
  CHECK_EQ(arrivals[0].error, "bad magic 12081 in the handshake");
  CHECK_EQ(arrivals[0].connect_errno, 0);
}

TEST(CallsNobodyAnswersSayWhy) {
  Hotel hotel;
  { const UniqueFd gone = hotel.Bind("gone"); }
  hotel.doorman().Connect(1, hotel.Path("absent"), kClientOptions);
  hotel.doorman().Connect(2, hotel.Path("gone"), kClientOptions);
  hotel.doorman().Connect(3, hotel.Path(std::string(108, 'x')), kClientOptions);
  hotel.doorman().Connect(4, "", kClientOptions);
  const auto arrivals = hotel.Await(4);
  const std::array<int, 4> expected = {ENOENT, ECONNREFUSED, ENAMETOOLONG, ENAMETOOLONG};
  for (std::size_t i = 0; i < 4; i++) {
    CHECK_EQ(arrivals[i].connect_errno, expected[i]);
    CHECK(!arrivals[i].error.empty() && arrivals[i].session == nullptr);
  }
}

TEST(ACallThatCannotHaveItsMemorySaysWhy) {
  Hotel hotel;
  const UniqueFd listener = hotel.Bind("a");
  hotel.doorman().Connect(1, hotel.Path("a"), {UINT64_MAX, 64, 1});
  const auto arrivals = hotel.Await(1);
  CHECK_EQ(arrivals[0].connect_errno, 0);
  CHECK_EQ(arrivals[0].error, "shared memory of 18446744073709551615 bytes; 3221225472 is the most");
}

TEST(ListenersKeepTheirGuestsApart) {
  Hotel hotel;
  hotel.Listen(1, "a");
  hotel.Listen(2, "b");
  Peer at_b = hotel.Dial("b");
  at_b.Send(Bytes("b"));
  Peer at_a = hotel.Dial("a");
  at_a.Send(Bytes("a"));
  auto arrivals = hotel.Await(2);
  CHECK_EQ(arrivals[0].id, 1u);
  CHECK_EQ(Peer(std::move(arrivals[0].plain)).ReadText(1), "a");
  CHECK_EQ(arrivals[1].id, 2u);
  CHECK_EQ(Peer(std::move(arrivals[1].plain)).ReadText(1), "b");
}

TEST(StopListeningSendsUnfinishedGuestsAwayAndKeepsTheOthers) {
  Hotel hotel;
  hotel.Listen(1, "a");
  hotel.Listen(2, "b");
  Peer arrived = hotel.Dial("a");
  arrived.Send(Bytes("x"));
  const auto kept = hotel.Await(1);
  Peer unfinished = hotel.Dial("a");
  unfinished.Send(Header(4));
  unfinished.Read(8);
  Peer elsewhere = hotel.Dial("b");
  elsewhere.Send(Header(4));
  elsewhere.Read(8);

  hotel.doorman().StopListening(1);
  unfinished.ExpectEnd();
  CHECK_EQ(ConnectUnix(hotel.Path("a")), -ECONNREFUSED);
  CHECK(arrived.Silent());
  elsewhere.Send(Metadata("q", "b"));
  CHECK(elsewhere.Read(8) == Header(7));
  // Unknown and known twice.
  hotel.doorman().StopListening(1);
  hotel.doorman().StopListening(77);
  hotel.doorman().Connect(3, hotel.Path("b"), kClientOptions);
  CHECK_EQ(hotel.Await(2)[1].id, 3u);
}

TEST(LeavesNothingOpenWhenItGoes) {
  Hotel hotel;
  hotel.Listen(1, "a");
  const UniqueFd nobody = hotel.Bind("nobody");
  Peer silent = hotel.Dial("a");
  Peer unfinished = hotel.Dial("a");
  unfinished.Send(Header(4));
  unfinished.Read(8);
  unfinished.Send(Metadata("q", kMarkedName));
  unfinished.Read(8);
  hotel.doorman().Connect(2, hotel.Path("nobody"), kClientOptions);
  // Arrived, and never taken.
  Peer untaken = hotel.Dial("a");
  untaken.Send(Bytes("x"));
  hotel.Listen(3, "late");
  hotel.Dismiss();
  for (Peer* peer : {&silent, &unfinished, &untaken}) peer->ExpectReset();
  CHECK_EQ(ConnectUnix(hotel.Path("a")), -ECONNREFUSED);
  CHECK_EQ(ConnectUnix(hotel.Path("late")), -ECONNREFUSED);
}

}  // namespace
}  // namespace shm
