#include "session_pair.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "check.h"
#include "core/atomics.h"
#include "core/event_queue.h"
#include "core/layout.h"
#include "peer.h"

namespace shm::test {
namespace {

UniqueFd EventFd() { return UniqueFd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)); }

std::unique_ptr<Session> Open(SessionParts parts) {
  std::string error;
  auto session = Session::Open(std::move(parts), error);
  CHECK_EQ(error, "");
  return session;
}

std::vector<std::byte> MakePattern() {
  std::vector<std::byte> pattern(2 * kPatternBytes);
  std::uint32_t state = 1;
  for (std::uint32_t i = 0; i < kPatternBytes; i++) {
    state = state * 1664525 + 1013904223;
    pattern[i] = pattern[i + kPatternBytes] = static_cast<std::byte>(state >> 24);
  }
  return pattern;
}

}  // namespace

SessionPair::SessionPair(std::uint64_t memory, std::uint32_t queue_capacity,
                         Discipline discipline, bool sealed) {
  std::string error;
  std::vector<SliceList::Geometry> lists;
  const std::size_t bytes = BufferRegion::Plan(memory, lists);
  const auto create = [&](const char* name, std::size_t wanted) {
    if (sealed) return Mapping::Create(name, wanted, error);
    return Mapping::Adopt(Memfd(wanted, 0), wanted, wanted, false, error);
  };
  buffers = create("buffers", bytes);
  queues = create("queues", EventQueue::RegionBytes(queue_capacity));
  CHECK_EQ(error, "");
  BufferRegion::Initialise(buffers->bytes(), lists, memory, 1);
  EventQueue::InitialiseRegion(queues->bytes(), queue_capacity);
  SessionParts ours{Side::kClient, discipline, {}, buffers, queues, {}, {}, 1};
  SessionParts theirs{Side::kServer, discipline, {}, buffers, queues, {}, {}, 1};
  if (discipline == Discipline::kOwned) {
    ours.wake_us = EventFd();
    ours.wake_peer = EventFd();
    theirs.wake_us = UniqueFd(dup(ours.wake_peer.get()));
    theirs.wake_peer = UniqueFd(dup(ours.wake_us.get()));
  }
  client = Open(std::move(ours));
  server = Open(std::move(theirs));
}

std::byte* SessionPair::ring(Side from) const {
  const auto bytes = queues->bytes();
  return bytes.data() + (from == Side::kClient ? 0 : bytes.size() / 2);
}

void SessionPair::SetWord(std::size_t offset, std::uint32_t value) const {
  StoreRelaxed<std::uint32_t>(region() + offset, value);
}

void SessionPair::SetFlags(std::uint32_t slice, std::uint8_t flags) const {
  StoreRelaxed<std::uint8_t>(region() + slice + layout::kSliceFlags, flags);
}

void SessionPair::PushRaw(std::uint32_t offset, std::uint32_t status, Side from) const {
  const std::array<std::uint32_t, 3> element = {1, offset, status};
  std::byte* tail = ring(from) + layout::kRingTail;
  const auto position = LoadRelaxed<std::uint64_t>(tail);
  std::memcpy(ring(from) + layout::kRingHeaderBytes +
                  position % client->send_queue().capacity() * layout::kElementBytes,
              element.data(), sizeof element);
  StoreRelease<std::uint64_t>(tail, position + 1);
}

std::vector<SliceSpan> SendMessage(Session& session, std::uint32_t stream, std::uint32_t bytes,
                                   std::uint32_t seed) {
  std::vector<SliceSpan> spans;
  CHECK_EQ(session.Allocate(bytes, spans), bytes);
  std::byte* region = session.parts().buffers->bytes().data();
  std::uint32_t at = 0;
  for (const SliceSpan& span : spans) {
    for (std::uint32_t done = 0; done < span.bytes;) {
      const std::uint32_t part = std::min(span.bytes - done, kPatternBytes);
      std::memcpy(region + span.payload() + done, Pattern(seed + at), part);
      done += part;
      at += part;
    }
  }
  CHECK(session.Send(stream, spans));
  return spans;
}

std::vector<Received> DrainAll(Session& session) {
  std::vector<std::uint32_t> words(session.MaxEventWords());
  std::vector<Received> received;
  for (;;) {
    const std::int64_t used = session.Drain(words);
    CHECK_EQ(session.error(), "");
    if (used == 0) return received;
    for (std::size_t at = 0; at < static_cast<std::size_t>(used);) {
      Received message{words[at], words[at + 1], words[at + 2], {}};
      const std::uint32_t slices = words[at + 3];
      at += 4;
      for (std::uint32_t i = 0; i < slices; i++, at += 3) {
        message.slices.push_back({words[at], words[at + 1], words[at + 2]});
      }
      received.push_back(std::move(message));
    }
  }
}

std::string DrainError(Session& session) {
  std::vector<std::uint32_t> words(2 * session.MaxEventWords());
  std::int64_t used = 0;
  do {
    used = session.Drain(words);
  } while (used > 0);
  CHECK_EQ(used, -1);
  CHECK(session.corrupt());
  // For ever.
  CHECK_EQ(session.Drain(words), -1);
  return session.error();
}

bool Holds(const Session& session, const Received& message, std::uint32_t bytes,
           std::uint32_t seed) {
  const std::byte* region = const_cast<Session&>(session).parts().buffers->bytes().data();
  std::uint32_t at = 0;
  for (const ReceivedSlice& slice : message.slices) {
    for (std::uint32_t done = 0; done < slice.bytes;) {
      const std::uint32_t part = std::min(slice.bytes - done, kPatternBytes);
      if (std::memcmp(region + slice.payload + done, Pattern(seed + at), part) != 0) return false;
      done += part;
      at += part;
    }
  }
  return at == bytes;
}

void ReleaseAll(Session& session, const Received& message) {
  for (const ReceivedSlice& slice : message.slices) CHECK(session.Release(slice.slice));
}

const std::byte* Pattern(std::uint32_t seed) {
  static const std::vector<std::byte> pattern = MakePattern();
  return pattern.data() + seed % kPatternBytes;
}

void CheckAccounts(const Session& session) {
  for (const SliceList& list : session.region().lists()) {
    if (list.role() == ListRole::kPeers) continue;
    CHECK_EQ(list.allocated(), list.freed() + list.held() + list.lent());
  }
}

std::uint64_t Lent(const Session& session) {
  std::uint64_t sum = 0;
  for (const SliceList& list : session.region().lists()) {
    if (list.role() == ListRole::kOurs) sum += list.lent();
  }
  return sum;
}

std::uint64_t Held(const Session& session) {
  std::uint64_t sum = 0;
  for (const SliceList& list : session.region().lists()) sum += list.held();
  return sum;
}

std::uint64_t Borrowed(const Session& session) {
  std::uint64_t sum = 0;
  for (const SliceList& list : session.region().lists()) sum += list.borrowed();
  return sum;
}

}  // namespace shm::test
