#include "core/handshake.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "check.h"
#include "core/atomics.h"
#include "core/event_queue.h"
#include "core/layout.h"
#include "core/session.h"
#include "handshake_peer.h"

namespace shm {
namespace {

using namespace layout;
using namespace test;

bool Readable(const UniqueFd& fd) {
  pollfd polled{fd.get(), POLLIN, 0};
  return poll(&polled, 1, 0) == 1;
}

void Add(const UniqueFd& eventfd) {
  const std::uint64_t one = 1;
  CHECK_EQ(write(eventfd.get(), &one, sizeof one), 8);
}

TEST(TwoShmeshEndsKnowEachOther) {
  auto [one, other] = SocketPair();
  std::string error;
  auto client = StartClientHandshake(std::move(one), kClientOptions, error);
  auto server = StartServerHandshake(std::move(other), kServerOptions);
  HandshakeState at_client = HandshakeState::kNeedsInput;
  HandshakeState at_server = HandshakeState::kNeedsInput;
  for (int turn = 0; turn < 4; turn++) {
    if (at_client == HandshakeState::kNeedsInput) at_client = client->Step();
    if (at_server == HandshakeState::kNeedsInput) at_server = server->Step();
  }
  CHECK_EQ(client->error() + server->error(), "");
  CHECK(at_client == HandshakeState::kDone && at_server == HandshakeState::kDone);

  SessionParts& ours = client->parts();
  SessionParts& theirs = server->parts();
  CHECK_EQ(ours.side, Side::kClient);
  CHECK_EQ(theirs.side, Side::kServer);
  CHECK_EQ(ours.discipline, Discipline::kOwned);
  CHECK_EQ(theirs.discipline, Discipline::kOwned);
  CHECK_EQ(ours.peer_window, kServerOptions.window);
  CHECK_EQ(theirs.peer_window, kClientOptions.window);
  CHECK_EQ(ours.buffers->bytes().size(), theirs.buffers->bytes().size());
  CHECK_EQ(ours.queues->bytes().size(), EventQueue::RegionBytes(kClientOptions.queue_capacity));

  Add(ours.wake_peer);
  CHECK(Readable(theirs.wake_us) && !Readable(ours.wake_us));
  Add(theirs.wake_peer);
  CHECK(Readable(ours.wake_us));
  for (const SessionParts* parts : {&ours, &theirs}) {
    for (const UniqueFd* fd : {&parts->wake_us, &parts->wake_peer}) {
      CHECK_EQ(fcntl(fd->get(), F_GETFD), FD_CLOEXEC);
      CHECK((fcntl(fd->get(), F_GETFL) & O_NONBLOCK) != 0);
    }
    CHECK_EQ(fcntl(parts->buffers->fd(), F_GETFD), FD_CLOEXEC);
  }
  CHECK(Session::Open(std::move(ours), error) != nullptr);
  CHECK(Session::Open(std::move(theirs), error) != nullptr);
  CHECK_EQ(error, "");
}

// shmipc-go's default region: three lists, all slices linked.
void InitialiseAsGoDoes(std::span<std::byte> region) {
  const std::array<std::pair<std::uint32_t, std::uint32_t>, 3> classes = {
      {{8172, 50}, {32748, 30}, {131052, 20}}};
  const std::size_t room = region.size() - 3 * kListHeaderBytes - kRegionHeaderBytes;
  auto at = static_cast<std::uint32_t>(kRegionHeaderBytes);
  StoreRelaxed<std::uint16_t>(region.data() + kRegionLists, 3);
  for (const auto& [payload, percent] : classes) {
    const SliceList::Geometry list{
        at, payload, static_cast<std::uint32_t>(room * percent / 100 / (payload + kSliceHeaderBytes))};
    SliceList::Initialise(region.data(), list, list.capacity);
    at = static_cast<std::uint32_t>(list.end());
  }
  StoreRelaxed<std::uint32_t>(region.data() + kRegionUsed,
                              at - static_cast<std::uint32_t>(kRegionHeaderBytes));
}

std::shared_ptr<Mapping> MapAll(UniqueFd fd, std::size_t bytes) {
  std::string error;
  auto mapping = Mapping::Adopt(std::move(fd), bytes, bytes, false, error);
  CHECK_EQ(error, "");
  return mapping;
}

// Every byte as shmipc-go sends and expects it; unsealed memory, no marker.
TEST(APlainClientSeesAPlainServer) {
  constexpr std::size_t kBufferBytes = 32 * 1024 * 1024;
  constexpr std::uint32_t kCapacity = 8192;
  const UniqueFd buffer_fd = Memfd(kBufferBytes, F_SEAL_SEAL);
  const UniqueFd queue_fd = Memfd(196'656, F_SEAL_SEAL);
  const auto buffers = MapAll(UniqueFd(dup(buffer_fd.get())), kBufferBytes);
  const auto queues = MapAll(UniqueFd(dup(queue_fd.get())), 196'656);
  InitialiseAsGoDoes(buffers->bytes());
  EventQueue::InitialiseRegion(queues->bytes(), kCapacity);

  auto test = Encounter::WithServer({0x30000, 64 * 1024 * 1024});
  test.peer.Send(Bytes({0, 0, 0, 8, 0x77, 0x58, 3, 4}));
  test.ExpectNeedsInput();
  CHECK(test.peer.Read(8) == Bytes({0, 0, 0, 8, 0x77, 0x58, 3, 4}));
  test.peer.Send(Bytes({0, 0, 0, 63, 0x77, 0x58, 3, 5, 0, 26}) +
                 Bytes("/dev/shm/shmipc_42_queue_0") + Bytes({0, 25}) +
                 Bytes("/dev/shm/shmipc_42_buffer"));
  test.ExpectNeedsInput();
  CHECK(test.peer.Read(8) == Bytes({0, 0, 0, 8, 0x77, 0x58, 3, 7}));
  test.peer.Send(Bytes({0}), std::array{buffer_fd.get(), queue_fd.get()});
  test.ExpectDone();
  CHECK(test.peer.Read(8) == Bytes({0, 0, 0, 8, 0x77, 0x58, 3, 6}));
  CHECK(test.peer.Silent());
  CHECK(test.peer.fds.empty());

  SessionParts& parts = test.ours->parts();
  CHECK_EQ(parts.discipline, Discipline::kShared);
  CHECK(!parts.wake_us && !parts.wake_peer);
  CHECK_EQ(parts.peer_window, 0u);
  std::string error;
  const auto server = Session::Open(std::move(parts), error);
  CHECK_EQ(error, "");
  CHECK_EQ(server->region().slices(), 2047u + 307 + 51);

  // The client pops the first slice of list 0, fills it, and announces it on stream 2.
  std::byte* region = buffers->bytes().data();
  std::byte* ring = queues->bytes().data();
  StoreRelaxed<std::int32_t>(region + 8 + kListSize, 2046);
  StoreRelaxed<std::uint32_t>(region + 8 + kListHead, 8192);
  std::byte* slice = region + 8 + 36;
  StoreRelaxed<std::uint32_t>(slice + kSliceSize, 5);
  StoreRelaxed<std::uint8_t>(slice + kSliceFlags, kFlagInUse);
  std::memcpy(slice + 20, "hello", 5);
  const std::array<std::uint32_t, 3> element = {2, 8 + 36, 0xffffff00};
  std::memcpy(ring + 24, element.data(), sizeof element);
  StoreRelease<std::int64_t>(ring + kRingTail, 1);

  std::vector<std::uint32_t> words(server->MaxEventWords());
  CHECK_EQ(server->Drain(words), 7);
  const std::array<std::uint32_t, 7> expected = {2, 0, 44, 1, 44, 64, 5};
  CHECK(std::equal(expected.begin(), expected.end(), words.begin()));
  CHECK(server->Release(44));
  // Back at the tail of the list.
  CHECK_EQ(LoadRelaxed<std::uint32_t>(region + 8 + kListTail), 0u);
  CHECK_EQ(LoadRelaxed<std::int32_t>(region + 8 + kListSize), 2047);
  CHECK_EQ(LoadRelaxed<std::uint32_t>(region + 44 + 2046 * 8192 + kSliceNext), 0u);
  CHECK_EQ(LoadRelaxed<std::uint8_t>(region + 44 + 2046 * 8192 + kSliceFlags), kFlagHasNext);

  std::vector<SliceSpan> spans;
  CHECK_EQ(server->Allocate(3, spans), 3);
  CHECK(server->Send(2, spans));
  CHECK(server->WakePeer());  // by a Polling message
  std::memcpy(&words[0], ring + 196'656 / 2 + 24, 12);
  CHECK_EQ(words[1], 44u + 8192);
  CHECK_EQ(LoadRelaxed<std::uint32_t>(region + words[1] + kSliceSize), 3u);
}

TEST(APlainServerSeesAPlainClient) {
  auto test = Encounter::WithClient();
  test.ExpectNeedsInput();
  CHECK(test.peer.Read(8) == Bytes({0, 0, 0, 8, 0x77, 0x58, 3, 4}));
  test.peer.Send(Bytes({0, 0, 0, 8, 0x77, 0x58, 3, 4}));
  test.ExpectNeedsInput();
  // "shmesh.1." + 8 + "." + 32 digits, then "_queue" and "_buffer".
  CHECK(test.peer.Read(8) == Bytes({0, 0, 0, 125, 0x77, 0x58, 3, 5}));
  const std::string names = test.peer.ReadText(117);
  const std::string common = names.substr(2, 50);
  CHECK_EQ(common.substr(0, 18), "shmesh.1.00020000.");
  CHECK_EQ(common.find_first_not_of("0123456789abcdef", 18), std::string::npos);
  CHECK_EQ(names, std::string("\0\x38", 2) + common + "_queue" + std::string("\0\x39", 2) + common +
                      "_buffer");
  CHECK(test.peer.Silent());
  test.peer.Send(Bytes({0, 0, 0, 8, 0x77, 0x58, 3, 7}));
  test.ExpectNeedsInput();
  CHECK(test.peer.Read(1) == Bytes({0}));
  CHECK(test.peer.Silent());
  CHECK_EQ(test.peer.fds.size(), 2u);
  for (const UniqueFd& fd : test.peer.fds) CHECK_EQ(fcntl(fd.get(), F_GET_SEALS), kAllSeals);

  // Buffers first, the opposite of the names' order.
  std::vector<SliceList::Geometry> lists;
  const auto buffers =
      MapAll(std::move(test.peer.fds[0]), BufferRegion::Plan(kClientOptions.memory, lists));
  const auto queues = MapAll(std::move(test.peer.fds[1]), 2 * (24 + 12 * 64));
  CHECK_EQ(LoadRelaxed<std::uint16_t>(buffers->bytes().data()), 4u);
  CHECK_EQ(LoadRelaxed<std::uint32_t>(queues->bytes().data() + 24 + 12 * 64), 64u);

  test.peer.Send(Bytes({0, 0, 0, 8, 0x77, 0x58, 3, 6}));
  test.ExpectDone();
  SessionParts& parts = test.ours->parts();
  CHECK_EQ(parts.discipline, Discipline::kShared);
  CHECK(!parts.wake_us && !parts.wake_peer);
  std::string error;
  const auto client = Session::Open(std::move(parts), error);
  CHECK_EQ(error, "");
  // What either end may take is in the lists: the server extends none.
  std::uint64_t linked = 0;
  for (const SliceList::Geometry& list : lists) {
    linked += std::uint64_t{list.payload} *
              LoadRelaxed<std::uint32_t>(buffers->bytes().data() + list.header + kListSize);
  }
  CHECK(linked <= kClientOptions.memory && linked > kClientOptions.memory / 10 * 8);
}

TEST(EveryClientNamesItsMemoryDifferently) {
  auto first = Encounter::WithClient();
  auto second = Encounter::WithClient();
  CHECK(first.TakeMetadataAsServer() != second.TakeMetadataAsServer());
}

TEST(AServerTakesItsMessagesByteByByte) {
  auto test = Encounter::WithServer();
  const auto send = [&test](const std::vector<std::byte>& message) {
    for (std::size_t i = 0; i < message.size(); i++) {
      test.ExpectNeedsInput();
      CHECK(test.peer.Silent());
      test.peer.Send(std::span(message).subspan(i, 1));
    }
    test.ExpectNeedsInput();
  };
  send(Header(4));
  CHECK(test.peer.Read(8) == Header(4));
  send(Metadata("a queue", kMarkedName));
  CHECK(test.peer.Read(8) == Header(7));
  const UniqueFd buffers = BufferMemory();
  const UniqueFd queues = QueueMemory();
  test.peer.Send(Bytes({0}), std::array{buffers.get(), queues.get()});
  test.ExpectDone();
  // Version and window, and two eventfds.
  CHECK(test.peer.Read(22) == Header(6, 22) + Bytes({0, 1, 0, 2, 0, 1, 0, 2, 0, 4, 0, 3, 0, 0}));
  CHECK_EQ(test.peer.fds.size(), 2u);
}

TEST(AClientTakesItsMessagesByteByByte) {
  auto test = Encounter::WithClient();
  const auto send = [&test](const std::vector<std::byte>& message) {
    for (std::size_t i = 0; i < message.size(); i++) {
      test.ExpectNeedsInput();
      test.peer.Send(std::span(message).subspan(i, 1));
    }
  };
  test.ExpectNeedsInput();
  CHECK(test.peer.Read(8) == Header(4));
  send(Header(4));
  test.ExpectNeedsInput();
  test.peer.Read(125);
  send(Header(7));
  test.ExpectNeedsInput();
  test.peer.Read(1);
  const UniqueFd first = MakeEventFd();
  const UniqueFd second = MakeEventFd();
  // An unknown field, which is skipped, between the two known.
  const auto ack = Header(6, 29) + Bytes({0, 2, 0, 4, 0, 9, 0, 0, 0, 77, 0, 3, 1, 2, 3, 0, 1, 0, 2,
                                          0, 1});
  test.peer.Send(std::span(ack).first(1), std::array{first.get(), second.get()});
  send({ack.begin() + 1, ack.end()});
  test.ExpectDone();
  CHECK_EQ(test.ours->parts().discipline, Discipline::kOwned);
  CHECK_EQ(test.ours->parts().peer_window, 0x90000u);
}

// What a peer sends right behind its last message belongs to the session.
TEST(LeavesWhatFollowsTheHandshakeInTheSocket) {
  auto server = Encounter::WithServer();
  server.NameRegionsAsClient(kPlainName);
  const UniqueFd buffers = BufferMemory(F_SEAL_SEAL);
  const UniqueFd queues = QueueMemory(F_SEAL_SEAL);
  server.peer.Send(Bytes({0}) + Header(1), std::array{buffers.get(), queues.get()});
  server.ExpectDone();
  Peer rest(std::move(server.ours->parts().control));
  CHECK(rest.Read(8) == Header(1));
}

TEST(AClientSaysWhatMemoryItCannotHave) {
  auto [one, other] = SocketPair();
  std::string error;
  const std::uint64_t most = BufferRegion::kMaxMemory;
  CHECK(StartClientHandshake(std::move(one), {most, 64, 1}, error) != nullptr);
  CHECK(StartClientHandshake(std::move(other), {most + 1, 64, 1}, error) == nullptr);
  CHECK_EQ(error, "shared memory of 3221225473 bytes; 3221225472 is the most");
}

}  // namespace
}  // namespace shm
