#include "handshake_peer.h"

#include <fcntl.h>
#include <unistd.h>

#include "check.h"
#include "core/control_message.h"
#include "core/event_queue.h"

namespace shm::test {
namespace {

void Seal(int fd, int seals) { CHECK_EQ(fcntl(fd, F_ADD_SEALS, seals), 0); }

std::shared_ptr<Mapping> MapUnsealed(const UniqueFd& fd, std::size_t bytes) {
  std::string error;
  auto mapping = Mapping::Adopt(UniqueFd(dup(fd.get())), bytes, bytes, false, error);
  CHECK_EQ(error, "");
  return mapping;
}

}  // namespace

std::vector<std::byte> Header(unsigned type, std::uint32_t length, unsigned version,
                              unsigned magic) {
  return Bytes({length >> 24, length >> 16 & 0xff, length >> 8 & 0xff, length & 0xff, magic >> 8,
                magic & 0xff, version, type});
}

std::vector<std::byte> Metadata(const std::string& queue, const std::string& buffer) {
  const auto size = [](const std::string& name) {
    return Bytes({static_cast<unsigned>(name.size() >> 8), static_cast<unsigned>(name.size() & 0xff)});
  };
  const auto payload = size(queue) + Bytes(queue) + size(buffer) + Bytes(buffer);
  return Header(5, static_cast<std::uint32_t>(8 + payload.size())) + payload;
}

Encounter Encounter::WithServer(const ServerOptions& options) {
  auto [one, other] = SocketPair();
  return {StartServerHandshake(std::move(one), options), Peer(std::move(other))};
}

Encounter Encounter::WithClient(const ClientOptions& options) {
  auto [one, other] = SocketPair();
  std::string error;
  auto handshake = StartClientHandshake(std::move(one), options, error);
  CHECK_EQ(error, "");
  return {std::move(handshake), Peer(std::move(other))};
}

void Encounter::OfferAsClient() {
  peer.Send(Header(4));
  ExpectNeedsInput();
  CHECK(peer.Read(8) == Header(4));
}

void Encounter::NameRegionsAsClient(const std::string& buffer) {
  OfferAsClient();
  peer.Send(Metadata("a queue", buffer));
  ExpectNeedsInput();
  CHECK(peer.Read(8) == Header(7));
}

std::string Encounter::TakeMetadataAsServer() {
  ExpectNeedsInput();
  CHECK(peer.Read(8) == Header(4));
  peer.Send(Header(4));
  ExpectNeedsInput();
  const auto header = peer.Read(8);
  const std::uint32_t length = control::GetU32(header, 0);
  CHECK(header == Header(5, length));
  const std::string payload = peer.ReadText(length - 8);
  CHECK(peer.Silent());
  return payload;
}

void Encounter::TakeMemoryAsServer() {
  TakeMetadataAsServer();
  peer.Send(Header(7));
  ExpectNeedsInput();
  CHECK(peer.Read(1) == Bytes({0}));
  CHECK_EQ(peer.fds.size(), 2u);
}

void Encounter::ExpectNeedsInput() { CHECK_EQ(ours->Step(), HandshakeState::kNeedsInput); }

void Encounter::ExpectDone() {
  const HandshakeState state = ours->Step();
  CHECK_EQ(ours->error(), "");
  CHECK_EQ(state, HandshakeState::kDone);
}

void Encounter::ExpectRefusal(const std::string& error) {
  CHECK_EQ(ours->Step(), HandshakeState::kFailed);
  CHECK_EQ(ours->error(), error);
  CHECK_EQ(ours->Step(), HandshakeState::kFailed);
  CHECK_EQ(ours->error(), error);
  ours.reset();
  // Nothing more was sent, such as an ack.
  peer.ExpectEnd();
}

UniqueFd BufferMemory(int seals, std::uint64_t memory) {
  std::vector<SliceList::Geometry> lists;
  const std::size_t bytes = BufferRegion::Plan(memory, lists);
  UniqueFd fd = Memfd(bytes, 0);
  BufferRegion::Initialise(MapUnsealed(fd, bytes)->bytes(), lists, memory, 1);
  Seal(fd.get(), seals);
  return fd;
}

UniqueFd QueueMemory(int seals, std::uint32_t capacity) {
  const std::size_t bytes = EventQueue::RegionBytes(capacity);
  UniqueFd fd = Memfd(bytes, 0);
  EventQueue::InitialiseRegion(MapUnsealed(fd, bytes)->bytes(), capacity);
  Seal(fd.get(), seals);
  return fd;
}

std::vector<Refused> BadHeaders(unsigned type) {
  const std::string expected = std::to_string(type) + " was expected in the handshake";
  return {{Header(type, 8, 3, 0x7759), "bad magic 30553 in the handshake"},
          {Header(type, 8, 3, 0), "bad magic 0 in the handshake"},
          {Header(type, 8, 2), "protocol version 2, only 3 is spoken here"},
          {Header(type, 8, 0), "protocol version 0, only 3 is spoken here"},
          {Header(type, 8, 4), "protocol version 4, only 3 is spoken here"},
          {Header(1), "message type 1 where " + expected},
          {Header(2), "message type 2 where " + expected},
          {Header(255), "message type 255 where " + expected},
          {Header(type, 7), "message of 7 bytes in the handshake"},
          {Header(type, 0), "message of 0 bytes in the handshake"},
          {Header(type, 0xffffffff), "message of 4294967295 bytes in the handshake"}};
}

}  // namespace shm::test
