#include <array>
#include <string>
#include <vector>

#include "check.h"
#include "core/control_message.h"
#include "core/negotiation.h"
#include "handshake_peer.h"

// Which protocol a server speaks with a client, by the client's first messages.
namespace shm {
namespace {

using namespace test;
using control::kExchangeVersion;

constexpr std::uint8_t kNewVersion = 4;
constexpr std::uint8_t kNewType = 10;

// Answers its offer by itself and one more byte.
class NewHandshake final : public Handshake {
 public:
  explicit NewHandshake(Offer offer) : Handshake(std::move(offer.socket)) {
    parts_.version = offer.version;
    input_ = std::move(offer.input);
  }

  HandshakeState Step() override {
    if (const auto state = Fill(control::kHeaderBytes + 1); state != HandshakeState::kDone) return state;
    return Send(input_) ? HandshakeState::kDone : HandshakeState::kFailed;
  }
};

std::unique_ptr<Handshake> StartNew(Offer offer, const ServerOptions&) {
  return std::make_unique<NewHandshake>(std::move(offer));
}

// What is spoken here, and `more`.
struct Server {
  explicit Server(const Protocol& more) {
    const auto spoken = SpokenProtocols();
    protocols.assign(spoken.begin(), spoken.end());
    protocols.push_back(more);
    auto [one, other] = SocketPair();
    peer.emplace_back(std::move(other));
    ours = Negotiate(std::move(one), kServerOptions, protocols);
  }

  void ExpectNew(unsigned version, unsigned type) {
    const auto offer = Header(type, 9, version);
    peer[0].Send(offer);
    CHECK_EQ(ours->Step(), HandshakeState::kNeedsInput);
    // Polled by the doorman until it is done.
    CHECK(ours->parts().control.get() >= 0);
    peer[0].Send(Bytes({7}));
    CHECK_EQ(ours->Step(), HandshakeState::kDone);
    CHECK_EQ(ours->parts().version, version);
    CHECK(peer[0].Read(9) == offer + Bytes({7}));
  }

  std::vector<Protocol> protocols;
  std::vector<Peer> peer;
  std::unique_ptr<Handshake> ours;
};

TEST(AProtocolThatIsRegisteredIsSpoken) {
  Server first({kNewVersion, kNewType, false, StartNew});
  first.ExpectNew(kNewVersion, kNewType);
  // It may exchange versions in its own way.
  Server exchange({kNewVersion, kExchangeVersion, false, StartNew});
  exchange.ExpectNew(kNewVersion, kExchangeVersion);
  Server introduced({3, kNewType, true, StartNew});
  introduced.peer[0].Send(Header(kExchangeVersion));
  CHECK_EQ(introduced.ours->Step(), HandshakeState::kNeedsInput);
  CHECK(introduced.peer[0].Read(8) == Header(kExchangeVersion));
  introduced.ExpectNew(3, kNewType);
}

TEST(OthersAreSpokenWithBesideIt) {
  Server server({kNewVersion, kNewType, false, StartNew});
  server.peer[0].Send(Header(kExchangeVersion));
  CHECK_EQ(server.ours->Step(), HandshakeState::kNeedsInput);
  CHECK(server.peer[0].Read(8) == Header(kExchangeVersion));
  server.peer[0].Send(Metadata("a queue", kPlainName));
  CHECK_EQ(server.ours->Step(), HandshakeState::kNeedsInput);
  CHECK(server.peer[0].Read(8) == Header(control::kAckReadyReceiveFd));
}

TEST(AProtocolIsSpokenInItsPlaceOnly) {
  const auto refusal = [](bool introduced, const std::vector<std::vector<std::byte>>& messages) {
    Server server({3, kNewType, introduced, StartNew});
    HandshakeState state = HandshakeState::kNeedsInput;
    for (const auto& message : messages) {
      server.peer[0].Send(message);
      state = server.ours->Step();
    }
    CHECK_EQ(state, HandshakeState::kFailed);
    return server.ours->error();
  };
  CHECK_EQ(refusal(true, {Header(kNewType)}), "message type 10 where 4 was expected in the handshake");
  CHECK_EQ(refusal(false, {Header(kExchangeVersion), Header(kNewType)}),
           "message type 10 where 5 was expected in the handshake");
  CHECK_EQ(refusal(true, {Header(kExchangeVersion), Header(kExchangeVersion)}),
           "message type 4 where 5 was expected in the handshake");
}

TEST(AVersionNobodyHasRegisteredIsRefused) {
  for (const unsigned version : {0u, 1u, 4u, 255u}) {
    auto test = Encounter::WithServer();
    test.peer.Send(Header(kExchangeVersion, 8, version));
    test.ExpectRefusal("protocol version " + std::to_string(version) + ", only 3 is spoken here");
  }
  auto nothing = SocketPair();
  Peer peer(std::move(nothing.second));
  const auto none = Negotiate(std::move(nothing.first), kServerOptions, {});
  peer.Send(Header(kExchangeVersion));
  CHECK_EQ(none->Step(), HandshakeState::kNeedsInput);
  peer.Send(Metadata("a queue", kPlainName));
  CHECK_EQ(none->Step(), HandshakeState::kFailed);
}

}  // namespace
}  // namespace shm
