#include <array>
#include <cstring>
#include <limits>
#include <string>

#include "check.h"
#include "core/atomics.h"
#include "core/layout.h"
#include "core/session.h"
#include "session_pair.h"

// A peer that writes what it likes into the memory both share.
namespace shm {
namespace {

using namespace layout;
using namespace test;

void SetCounter(std::byte* ring, std::size_t offset, std::int64_t value) {
  std::memcpy(ring + offset, &value, sizeof value);
}

std::string ChainError(std::uint32_t offset) {
  return "event with a slice chain the peer may not send, at offset " + std::to_string(offset);
}

// Sends a message of two slices after `spoil` had its way with them.
template <typename Spoil>
void ExpectRefusedChain(const Spoil& spoil) {
  SessionPair pair;
  const auto spans = SendMessage(*pair.client, 1, 5000);
  CHECK_EQ(spans.size(), 2u);
  spoil(pair, spans[0].slice, spans[1].slice);
  CHECK_EQ(DrainError(*pair.server), ChainError(spans[0].slice));
  CheckAccounts(*pair.server);
}

TEST(RefusesACyclicChain) {
  for (const int back_to : {0, 1}) {
    ExpectRefusedChain([back_to](const SessionPair& pair, std::uint32_t first, std::uint32_t second) {
      pair.SetWord(second + kSliceNext, back_to == 0 ? first : second);
      pair.SetFlags(second, kFlagHasNext | kFlagInUse);
    });
  }
}

TEST(RefusesAChainThatLeavesItsList) {
  const std::uint32_t end = 0xffffffff;
  for (const std::uint32_t stray : {0u, 8u, 43u, 45u, 48u, 44 + 4096u, 0x7fffffffu, end - 19, end}) {
    ExpectRefusedChain([stray](const SessionPair& pair, std::uint32_t first, std::uint32_t) {
      pair.SetWord(first + kSliceNext, stray);
    });
  }
  ExpectRefusedChain([](const SessionPair& pair, std::uint32_t first, std::uint32_t) {
    pair.SetWord(first + kSliceNext, static_cast<std::uint32_t>(pair.buffers->bytes().size()));
  });
}

TEST(RefusesSlicesThatReachPastTheirPayload) {
  const std::uint32_t max = 0xffffffff;
  const std::array<std::array<std::uint32_t, 2>, 7> cases = {
      {{0, 4097}, {1, 4096}, {4096, 1}, {0, max}, {max, 1}, {max, max}, {4097, 0}}};
  for (const auto& [start, bytes] : cases) {
    ExpectRefusedChain([&, start = start, bytes = bytes](const SessionPair& pair,
                                                         std::uint32_t first, std::uint32_t) {
      pair.SetWord(first + kSliceStart, start);
      pair.SetWord(first + kSliceSize, bytes);
      // A capacity of its own invention does not help.
      pair.SetWord(first + kSliceCapacity, max);
    });
  }
}

TEST(RefusesEventsThatPointNowhere) {
  SessionPair sized;
  const auto end = static_cast<std::uint32_t>(sized.buffers->bytes().size());
  for (const std::uint32_t offset : {0u, 4u, 8u, 43u, 45u, end, end - 1, 0x80000000u, 0xffffffffu}) {
    SessionPair pair;
    pair.PushRaw(offset);
    CHECK_EQ(DrainError(*pair.server), ChainError(offset));
  }
}

TEST(RefusesSlicesThatAreNotThePeersToSend) {
  for (const bool used : {true, false}) {
    SessionPair pair;
    std::vector<SliceSpan> ours;
    CHECK_EQ(pair.server->Allocate(100, ours), 100);
    const auto& list = pair.server->region().lists()[1].geometry();
    const std::uint32_t slice =
        used ? ours[0].slice : list.area() + (list.capacity - 1) * list.stride();
    pair.PushRaw(slice);
    CHECK_EQ(DrainError(*pair.server), ChainError(slice));
    CHECK(pair.server->Release(ours[0].slice));
    CheckAccounts(*pair.server);
  }
}

TEST(RefusesASliceItWasSentAndDidNotReturn) {
  SessionPair pair;
  const auto spans = SendMessage(*pair.client, 1, 100);
  pair.PushRaw(spans[0].slice);
  std::vector<std::uint32_t> words(pair.server->MaxEventWords());
  CHECK_EQ(pair.server->Drain(words), 7);
  CHECK_EQ(DrainError(*pair.server), ChainError(spans[0].slice));
  CHECK_EQ(Borrowed(*pair.server), 1u);
}

// The chain is walked in private memory once: the slices before the bad one stay with us.
TEST(KeepsWhatItBorrowedBeforeTheBadSlice) {
  SessionPair pair;
  const auto spans = SendMessage(*pair.client, 1, 150'000);
  pair.SetWord(spans.back().slice + kSliceSize, 0xffffffff);
  CHECK_EQ(DrainError(*pair.server), ChainError(spans[0].slice));
  for (const SliceSpan& span : spans) CHECK(pair.server->Release(span.slice));
  CHECK_EQ(Borrowed(*pair.server), 0u);
}

TEST(RefusesAnUnknownStatusAndIgnoresItsUpperBytes) {
  for (const auto& [discipline, status] :
       {std::pair{Discipline::kOwned, 7u}, {Discipline::kOwned, 255u}, {Discipline::kShared, 2u}}) {
    SessionPair pair(1024 * 1024, 64, discipline);
    pair.PushRaw(0, 0xffffff01);
    CHECK_EQ(DrainAll(*pair.server).at(0).status, 1u);
    pair.PushRaw(0, status);
    CHECK_EQ(DrainError(*pair.server), "event with unknown status " + std::to_string(status));
  }
}

constexpr auto kMin = std::numeric_limits<std::int64_t>::min();
constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
constexpr std::array<std::array<std::int64_t, 2>, 6> kImpossible = {
    {{0, 65}, {1, 0}, {0, -1}, {0, kMax}, {kMin, kMax}, {kMax, 0}}};

TEST(ReportsOverwrittenCountersOfTheRingItReads) {
  for (const auto& [head, tail] : kImpossible) {
    SessionPair pair;
    SetCounter(pair.ring(Side::kClient), kRingHead, head);
    SetCounter(pair.ring(Side::kClient), kRingTail, tail);
    CHECK_EQ(DrainError(*pair.server), "a counter of the ring was overwritten");
  }
}

TEST(ReportsOverwrittenCountersOfTheRingItWrites) {
  for (const auto& [head, tail] : kImpossible) {
    for (const bool data : {false, true}) {
      SessionPair pair;
      SetCounter(pair.ring(Side::kServer), kRingHead, head);
      SetCounter(pair.ring(Side::kServer), kRingTail, tail);
      std::vector<SliceSpan> spans;
      CHECK_EQ(pair.server->Allocate(1, spans), 1);
      CHECK(data ? !pair.server->Send(1, spans) : !pair.server->Signal(1, Status::kFin, 0));
      CHECK_EQ(DrainError(*pair.server), "a counter of the ring was overwritten");
      CHECK(pair.server->Release(spans[0].slice));
      CheckAccounts(*pair.server);
    }
  }
}

TEST(WhatItReadOnceCannotBeChangedAfterwards) {
  SessionPair pair;
  for (const Side side : {Side::kClient, Side::kServer}) {
    StoreRelaxed<std::uint32_t>(pair.ring(side) + kRingCapacity, 0xffffffff);
  }
  pair.SetWord(kRegionLists, 0xffff);
  pair.SetWord(kRegionUsed, 0xffffffff);
  for (const SliceList& list : pair.server->region().lists()) {
    for (const std::size_t word : {kListSize, kListCapacity, kListHead, kListTail, kListPayload}) {
      pair.SetWord(list.geometry().header + word, 0xfffffffd);
    }
  }
  for (std::uint32_t round = 0; round < 200; round++) {
    SendMessage(*pair.client, 1, 40'000, round);
    SendMessage(*pair.server, 1, 40'000, round);
    for (Session* session : {pair.client.get(), pair.server.get()}) {
      const auto received = DrainAll(*session);
      CHECK(Holds(*session, received.at(0), 40'000, round));
      ReleaseAll(*session, received[0]);
      CheckAccounts(*session);
    }
  }
}

// Returns that no peer may make of slices the server allocates from; list 1 is the server's.
struct ReturnCase {
  ReturnCase() {
    list = &pair.server->region().lists()[1];
    std::vector<SliceSpan> spans;
    // All but one lent, the last held.
    while (list->held() < list->geometry().capacity - 1) {
      CHECK_EQ(pair.server->Allocate(4160, spans), 4160);
    }
    held = spans.back().slice;
    spans.pop_back();
    CHECK(pair.server->Send(1, spans));
    lent = {spans[0].slice, spans[1].slice};
  }
  void Link(std::uint32_t from, std::uint32_t to) {
    pair.SetWord(from + kSliceNext, to - list->geometry().area());
    pair.SetFlags(from, kFlagHasNext);
  }
  // The slice that a list keeps, to which the first return is linked.
  std::uint32_t Tail() const {
    const auto& geometry = list->geometry();
    return geometry.area() + (BufferRegion::kInitialLinked - 1) * geometry.stride();
  }
  void ExpectReported() {
    std::vector<SliceSpan> spans;
    const auto before = list->freed();
    CHECK(!pair.server->Reclaim());
    CheckAccounts(*pair.server);
    CHECK(list->freed() - before <= list->geometry().capacity);
    CHECK_EQ(DrainError(*pair.server), "the peer returned a slice it was not lent");
  }

  SessionPair pair;
  const SliceList* list;
  std::uint32_t held;
  std::array<std::uint32_t, 2> lent;
};

TEST(ReportsReturnsOfSlicesNotLent) {
  ReturnCase of_a_held_one;
  of_a_held_one.Link(of_a_held_one.Tail(), of_a_held_one.held);
  of_a_held_one.ExpectReported();

  ReturnCase of_a_free_one;
  CHECK(of_a_free_one.pair.server->Release(of_a_free_one.held));
  of_a_free_one.Link(of_a_free_one.Tail(), of_a_free_one.held);
  of_a_free_one.ExpectReported();

  ReturnCase of_one_off_the_stride;
  of_one_off_the_stride.Link(of_one_off_the_stride.Tail(), of_one_off_the_stride.lent[0] + 4);
  of_one_off_the_stride.ExpectReported();

  ReturnCase of_one_of_another_list;
  of_one_of_another_list.Link(of_one_of_another_list.Tail(), 44);
  of_one_of_another_list.ExpectReported();
}

TEST(ReportsSlicesReturnedTwice) {
  ReturnCase in_a_circle;
  in_a_circle.Link(in_a_circle.Tail(), in_a_circle.lent[0]);
  in_a_circle.Link(in_a_circle.lent[0], in_a_circle.lent[1]);
  in_a_circle.Link(in_a_circle.lent[1], in_a_circle.lent[0]);
  in_a_circle.ExpectReported();

  ReturnCase to_itself;
  to_itself.Link(to_itself.Tail(), to_itself.lent[0]);
  to_itself.Link(to_itself.lent[0], to_itself.lent[0]);
  to_itself.ExpectReported();
}

TEST(AnAllocationReportsABadReturnToo) {
  ReturnCase test;
  CHECK(test.pair.server->Release(test.held));
  std::vector<SliceSpan> spans;
  CHECK_EQ(test.pair.server->Allocate(4160, spans), 4160);
  test.Link(test.Tail(), test.held);
  CHECK_EQ(test.pair.server->Allocate(4160, spans), -1);
  CheckAccounts(*test.pair.server);
}

}  // namespace
}  // namespace shm
