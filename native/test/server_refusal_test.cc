#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "core/atomics.h"
#include "core/event_queue.h"
#include "core/handshake.h"
#include "core/layout.h"
#include "handshake_peer.h"

// What a peer may not send, at each step, to a server, and what the server says of it.
namespace shm {
namespace {

using namespace test;

TEST(AServerRefusesWhatIsNoOffer) {
  auto cases = BadHeaders(4);
  cases.push_back({Header(4, 9), "message of 9 bytes in the handshake"});
  cases.push_back({Header(5), "message type 5 where 4 was expected in the handshake"});
  for (const Refused& refused : cases) {
    auto test = Encounter::WithServer();
    test.peer.Send(refused.bytes);
    test.ExpectRefusal(refused.error);
  }
}

TEST(AServerRefusesWhatIsNoMetadata) {
  const std::string sum = "the lengths of the region names do not add up";
  auto cases = BadHeaders(5);
  cases.push_back({Header(4), "message type 4 where 5 was expected in the handshake"});
  // Paths of files, but none there.
  cases.push_back({Header(0), "message of 8 bytes in the handshake"});
  cases.push_back({Header(5, 11), "message of 11 bytes in the handshake"});
  cases.push_back({Header(5, 523), "message of 523 bytes in the handshake"});
  // The queue's name longer than the message, then longer than what leaves room for a length.
  cases.push_back({Header(5, 12) + Bytes({0xff, 0xff, 0, 0}), sum});
  cases.push_back({Header(5, 12) + Bytes({0, 1, 'q', 0}), sum});
  cases.push_back({Header(5, 14) + Bytes({0, 1, 'q', 0, 2, 'b'}), sum});
  cases.push_back({Header(5, 14) + Bytes({0, 1, 'q', 0, 0, 'b'}), sum});
  for (const Refused& refused : cases) {
    auto test = Encounter::WithServer();
    test.OfferAsClient();
    test.peer.Send(refused.bytes);
    test.ExpectRefusal(refused.error);
  }
}

TEST(AServerTakesNamesOfAnyLengthWithinTheBounds) {
  for (const std::size_t bytes : {0, 1, 255}) {
    auto test = Encounter::WithServer();
    test.OfferAsClient();
    test.peer.Send(Metadata(std::string(bytes, 'q'), std::string(bytes, 'b')));
    test.ExpectNeedsInput();
    CHECK(test.peer.Read(8) == Header(7));
  }
}

// Only the marker, whole and right, asks for more than plain shmipc: here by demanding seals.
TEST(AServerTakesNothingButTheMarkerForTheMarker) {
  const auto refusal = [](const std::string& name) {
    auto test = Encounter::WithServer();
    test.NameRegionsAsClient(name);
    const UniqueFd unsealed = BufferMemory(F_SEAL_SEAL);
    const UniqueFd queues = QueueMemory(F_SEAL_SEAL);
    test.peer.Send(Bytes({0}), std::array{unsealed.get(), queues.get()});
    const bool done = test.ours->Step() == HandshakeState::kDone;
    if (done) CHECK_EQ(test.ours->parts().discipline, Discipline::kShared);
    return test.ours->error();
  };
  const std::string unsealed = "the peer's memory is not sealed against resizing";
  CHECK_EQ(refusal("shmesh.1.00000001."), unsealed);
  CHECK_EQ(refusal("shmesh.1.ffffffff.and more"), unsealed);
  for (const char* name : {"", "shmesh.1.", "shmesh.1.00000001", "shmesh.1.0000001.", "shmesh.1.0000000A.",
                           "shmesh.1.00000000.", "shmesh.2.00000001.", "xshmesh.1.00000001.",
                           "/dev/shm/shmesh.1.00000001.", "shmesh.1.00000001_buffer"}) {
    CHECK_EQ(refusal(name), "");
  }
}

TEST(AServerTakesTwoDescriptorsAndNoOther) {
  const std::vector<std::pair<std::size_t, std::string>> cases = {
      {0, "0 descriptors where buffers and queues were expected"},
      {1, "1 descriptors where buffers and queues were expected"},
      {3, "3 descriptors where at most 2 belong to the handshake"},
      {4, "4 descriptors where at most 2 belong to the handshake"},
      // As many as fit are received, and closed again.
      {100, "4 descriptors where at most 2 belong to the handshake"}};
  for (const auto& [count, error] : cases) {
    auto test = Encounter::WithServer();
    test.NameRegionsAsClient(kMarkedName);
    const UniqueFd fd = BufferMemory();
    test.peer.Send(Bytes({0}), std::vector<int>(count, fd.get()));
    test.ExpectRefusal(error);
  }
}

// A few with each byte would use up the process's descriptors.
TEST(AServerCollectsNoDescriptorsOnTheWay) {
  auto test = Encounter::WithServer();
  const UniqueFd fd = Memfd(1, 0);
  const std::vector<int> fds(2, fd.get());
  const auto offer = Header(4);
  test.peer.Send(std::span(offer).first(1), fds);
  test.ExpectNeedsInput();
  test.peer.Send(std::span(offer).subspan(1, 1), fds);
  test.ExpectRefusal("4 descriptors where at most 2 belong to the handshake");
}

TEST(AServerRefusesMemoryOfAMarkedClientThatIsNotSealed) {
  const std::string unsealed = "the peer's memory is not sealed against resizing";
  for (const auto& [buffer_seals, queue_seals] :
       {std::pair{F_SEAL_SEAL, kAllSeals}, {kAllSeals, F_SEAL_SEAL}, {0, 0}}) {
    auto test = Encounter::WithServer();
    test.NameRegionsAsClient(kMarkedName);
    const UniqueFd buffers = BufferMemory(buffer_seals);
    const UniqueFd queues = QueueMemory(queue_seals);
    test.peer.Send(Bytes({0}), std::array{buffers.get(), queues.get()});
    test.ExpectRefusal(unsealed);
  }
}

std::string MemoryRefusal(const UniqueFd& buffers, const UniqueFd& queues) {
  auto test = Encounter::WithServer();
  test.NameRegionsAsClient(kPlainName);
  test.peer.Send(Bytes({0}), std::array{buffers.get(), queues.get()});
  CHECK_EQ(test.ours->Step(), HandshakeState::kFailed);
  const std::string error = test.ours->error();
  test.ExpectRefusal(error);
  return error;
}

TEST(AServerRefusesMemoryThatHoldsNoSession) {
  const UniqueFd buffers = BufferMemory();
  const UniqueFd queues = QueueMemory();
  const auto [socket, other] = SocketPair();
  std::vector<SliceList::Geometry> lists;
  const std::string bounds =
      "outside [4096, " + std::to_string(BufferRegion::Plan(kServerOptions.max_memory, lists)) + "]";
  const UniqueFd large = BufferMemory(0, 2 * kServerOptions.max_memory);
  CHECK_EQ(MemoryRefusal(socket, queues), "the peer's descriptor is not memory");
  CHECK_EQ(MemoryRefusal(buffers, socket), "the peer's descriptor is not memory");
  CHECK_EQ(MemoryRefusal(Memfd(4095, 0), queues),
           "the peer's memory has 4095 bytes, " + bounds);
  CHECK_EQ(MemoryRefusal(large, queues),
           "the peer's memory has " + std::to_string(lseek(large.get(), 0, SEEK_END)) + " bytes, " +
               bounds);
  CHECK_EQ(MemoryRefusal(Memfd(4096, 0), queues), "buffer region with 0 lists");
  CHECK_EQ(MemoryRefusal(buffers, Memfd(71, 0)),
           "the peer's memory has 71 bytes, outside [72, 67108864]");
  const std::string rings =
      "the queue region does not hold two rings whose capacity is a multiple of 16";
  CHECK_EQ(MemoryRefusal(buffers, Memfd(4096, 0)), rings);
  CHECK_EQ(MemoryRefusal(buffers, QueueMemory(0, 8)), rings);
  // The descriptors in the other order.
  CHECK_EQ(MemoryRefusal(BufferMemory(0, 1024 * 1024), buffers), rings);
}

// Two rings, but the second does not start where its counters are whole.
TEST(AServerRefusesAQueueRegionWithSlack) {
  const UniqueFd buffers = BufferMemory();
  for (const std::size_t slack : {2, 4, 16, 64}) {
    const std::size_t bytes = EventQueue::RegionBytes(16) + slack;
    const UniqueFd queues = Memfd(bytes, 0);
    const std::uint32_t capacity = 16;
    CHECK_EQ(pwrite(queues.get(), &capacity, 4, 0), 4);
    CHECK_EQ(pwrite(queues.get(), &capacity, 4, static_cast<off_t>(bytes / 2)), 4);
    auto test = Encounter::WithServer();
    test.NameRegionsAsClient(kPlainName);
    test.peer.Send(Bytes({0}), std::array{buffers.get(), queues.get()});
    const bool done = test.ours->Step() == HandshakeState::kDone;
    const std::size_t tail = bytes / 2 + layout::kRingTail;
    const bool whole = bytes / 2 % 4 == 0 && tail / 64 == (tail + 7) / 64;
    CHECK(!done || whole);
  }
}

}  // namespace
}  // namespace shm
