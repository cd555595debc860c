#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "core/handshake.h"
#include "handshake_peer.h"

// What a peer may not answer, at each step, to a client, and when either side is left alone.
namespace shm {
namespace {

using namespace test;

TEST(AClientRefusesWhatIsNoAnswer) {
  auto cases = BadHeaders(4);
  cases.push_back({Header(4, 9), "message of 9 bytes in the handshake"});
  for (const Refused& refused : cases) {
    auto test = Encounter::WithClient();
    test.ExpectNeedsInput();
    test.peer.Read(8);
    test.peer.Send(refused.bytes);
    test.ExpectRefusal(refused.error);
  }
}

TEST(AClientKeepsItsMemoryUntilTheServerIsReadyForIt) {
  auto cases = BadHeaders(7);
  cases.push_back({Header(7, 9), "message of 9 bytes in the handshake"});
  cases.push_back({Header(6), "message type 6 where 7 was expected in the handshake"});
  for (const Refused& refused : cases) {
    auto test = Encounter::WithClient();
    test.TakeMetadataAsServer();
    test.peer.Send(refused.bytes);
    test.ExpectRefusal(refused.error);
    CHECK(test.peer.fds.empty());
  }
}

TEST(AClientRefusesABadAck) {
  const std::string cut = "a field of the ack is cut short";
  const std::vector<std::byte> version = Bytes({0, 1, 0, 2, 0, 1});
  const std::vector<std::byte> window = Bytes({0, 2, 0, 4, 0, 0, 0, 1});
  auto cases = BadHeaders(6);
  cases.push_back({Header(6, 1025), "message of 1025 bytes in the handshake"});
  cases.push_back({Header(6, 11) + Bytes({0, 1, 0}), cut});
  cases.push_back({Header(6, 13) + Bytes({0, 1, 0, 2, 0}), cut});
  cases.push_back({Header(6, 12) + Bytes({0, 9, 0xff, 0xff}), cut});
  cases.push_back({Header(6, 15) + version + Bytes({0}), cut});
  cases.push_back({Header(6, 16) + window, "the peer's discipline version is 0, ours is 1"});
  cases.push_back({Header(6, 14) + Bytes({0, 1, 0, 2, 0, 2}),
                   "the peer's discipline version is 2, ours is 1"});
  // A field of another size than it has is none.
  cases.push_back({Header(6, 13) + Bytes({0, 1, 0, 1, 1}),
                   "the peer's discipline version is 0, ours is 1"});
  cases.push_back({Header(6, 14) + version, "the ack carries no window"});
  cases.push_back({Header(6, 22) + version + Bytes({0, 2, 0, 4, 0, 0, 0, 0}),
                   "the ack carries no window"});
  cases.push_back({Header(6, 22) + version + window, "the ack carries no eventfds"});
  for (const Refused& refused : cases) {
    auto test = Encounter::WithClient();
    test.TakeMemoryAsServer();
    test.peer.Send(refused.bytes);
    test.ExpectRefusal(refused.error);
  }
}

TEST(AClientTakesTwoEventfdsAndNoOther) {
  const auto ack =
      Header(6, 22) + Bytes({0, 1, 0, 2, 0, 1}) + Bytes({0, 2, 0, 4, 0, 0, 0, 1});
  const std::vector<std::pair<std::size_t, std::string>> cases = {
      {1, "the ack carries no eventfds"},
      {2, "the ack carries no eventfds"},
      {3, "3 descriptors where at most 2 belong to the handshake"},
      {200, "4 descriptors where at most 2 belong to the handshake"}};
  for (const auto& [count, error] : cases) {
    auto test = Encounter::WithClient();
    test.TakeMemoryAsServer();
    const UniqueFd fd = Memfd(1, 0);
    test.peer.Send(ack, std::vector<int>(count, fd.get()));
    test.ExpectRefusal(error);
  }
}

TEST(EachSideSaysWhenThePeerGoesAway) {
  const auto closed = [](Encounter test, const std::vector<std::byte>& last) {
    if (!last.empty()) test.peer.Send(last);
    test.peer.Close();
    CHECK_EQ(test.ours->Step(), HandshakeState::kFailed);
    CHECK_EQ(test.ours->error(), "the peer closed the socket in the handshake");
  };
  const auto half = Bytes({0, 0, 0});
  closed(Encounter::WithServer(), {});
  closed(Encounter::WithServer(), half);
  for (const auto& last : {std::vector<std::byte>{}, half}) {
    auto named = Encounter::WithServer();
    named.OfferAsClient();
    closed(std::move(named), last);
    auto answered = Encounter::WithClient();
    answered.TakeMetadataAsServer();
    closed(std::move(answered), last);
    auto handed = Encounter::WithClient();
    handed.TakeMemoryAsServer();
    closed(std::move(handed), last);
  }
  auto ready = Encounter::WithServer();
  ready.NameRegionsAsClient(kMarkedName);
  closed(std::move(ready), {});
}

TEST(EachSideSaysWhenThePeerTakesNothing) {
  auto client = Encounter::WithClient();
  client.peer.Close();
  CHECK_EQ(client.ours->Step(), HandshakeState::kFailed);
  CHECK_EQ(client.ours->error(), "the peer does not take the handshake's messages");

  auto server = Encounter::WithServer();
  server.peer.Send(Header(4));
  server.peer.Close();
  CHECK_EQ(server.ours->Step(), HandshakeState::kFailed);
  CHECK_EQ(server.ours->error(), "the peer does not take the handshake's messages");
}

}  // namespace
}  // namespace shm
