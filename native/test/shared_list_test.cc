#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <future>
#include <thread>
#include <vector>

#include "check.h"
#include "core/atomics.h"
#include "core/event_queue.h"
#include "core/layout.h"
#include "core/slice_list.h"
#include "list_memory.h"
#include "two_threads.h"

// shmipc's rule: both ends allocate from a list and return to it.
namespace shm {
namespace {

using namespace layout;
using namespace test;
using Outcome = SliceList::Outcome;

TEST(BothEndsOfASharedListAllocateAndReturn) {
  ListMemory memory(8);
  SliceList creator = memory.Begin(ListRole::kShared, true);
  SliceList mapper = memory.Begin(ListRole::kShared, false);
  CHECK_EQ(memory.Word(kListSize), 8u);
  const std::int32_t before = static_cast<std::int32_t>(memory.Word(kListCreatorTaken));
  for (int round = 0; round < 10; round++) {
    const std::uint32_t sent = Take(creator);
    const std::uint32_t answer = Take(mapper);
    CHECK(sent != answer);
    creator.MarkLent(sent);
    mapper.MarkLent(answer);
    CHECK(mapper.Borrow(sent));
    CHECK(creator.Borrow(answer));
    CHECK(mapper.Free(sent));
    CHECK(creator.Free(answer));
    CheckAccounts(creator);
    CheckAccounts(mapper);
  }
  // The last one stays, so that there is a tail to append to.
  CHECK_EQ(AllocateAll(creator).size(), 7u);
  CHECK_EQ(AllocateAll(mapper).size(), 0u);
  CHECK_EQ(memory.Word(kListSize), 1u);
  CHECK_EQ(static_cast<std::int32_t>(memory.Word(kListCreatorTaken)) - before, 7);
  CHECK_EQ(memory.Word(kListMapperTaken), 0u);
}

TEST(SharedSlicesThePeerHasNotReturnedAreCounted) {
  ListMemory memory(8);
  SliceList creator = memory.Begin(ListRole::kShared, true);
  SliceList mapper = memory.Begin(ListRole::kShared, false);
  const std::uint32_t sent = Take(creator);
  CHECK_EQ(creator.WithPeer(), 0u);
  creator.MarkLent(sent);
  CHECK_EQ(creator.WithPeer(), 1u);
  const std::uint32_t own = Take(mapper);
  CHECK_EQ(creator.WithPeer(), 2u);
  CHECK(mapper.Borrow(sent));
  CHECK(mapper.Free(sent));
  CHECK_EQ(creator.WithPeer(), 1u);
  mapper.MarkLent(own);
  CHECK(creator.Borrow(own));
  CHECK_EQ(creator.WithPeer(), 0u);
}

TEST(SharedSlicesComeBackInTheOrderTheyWereFreed) {
  ListMemory memory(4);
  SliceList list = memory.Begin(ListRole::kShared, true);
  const auto offsets = AllocateAll(list);
  CHECK_EQ(offsets.size(), 3u);
  for (const std::uint32_t offset : offsets) CHECK(list.Free(offset));
  CHECK_EQ(Take(list), memory.Offset(3));
  CHECK_EQ(Take(list), offsets[0]);
}

TEST(ReportsASharedListThatLeadsAstray) {
  std::uint32_t offset = 0;
  for (const std::uint32_t stray : {4u, 8 * (kPayload + 20), 0xffffffffu}) {
    ListMemory head(8);
    SliceList by_head = head.Begin(ListRole::kShared, true);
    StoreRelaxed<std::uint32_t>(head.Header() + kListHead, stray);
    CHECK_EQ(by_head.Allocate(offset), Outcome::kCorrupt);

    ListMemory next(8);
    SliceList by_next = next.Begin(ListRole::kShared, true);
    next.LinkTo(0, stray);
    CHECK_EQ(by_next.Allocate(offset), Outcome::kCorrupt);

    ListMemory tail(8);
    SliceList by_tail = tail.Begin(ListRole::kShared, true);
    CHECK_EQ(by_tail.Allocate(offset), Outcome::kOk);
    StoreRelaxed<std::uint32_t>(tail.Header() + kListTail, stray);
    CHECK(by_tail.Free(offset));
  }
}

// The ABA race of two allocators leaves a list whose head is in use.
TEST(ReportsASharedSliceThatWouldGetASecondOwner) {
  ListMemory memory(8);
  SliceList list = memory.Begin(ListRole::kShared, true);
  const std::uint32_t held = Take(list);
  StoreRelaxed<std::uint32_t>(memory.Header() + kListHead, held - memory.geometry.area());
  memory.LinkTo((held - memory.geometry.area()) / memory.geometry.stride(), 0);
  std::uint32_t offset = 0;
  CHECK_EQ(list.Allocate(offset), Outcome::kCorrupt);
}

TEST(ASharedListWhoseSizeIsWrongIsEmptyNotEndless) {
  for (const std::uint32_t size : {0u, 0x80000000u, 0xffffffffu, 0x7fffffffu}) {
    ListMemory memory(8);
    SliceList list = memory.Begin(ListRole::kShared, true);
    StoreRelaxed<std::uint32_t>(memory.Header() + kListSize, size);
    CHECK(AllocateAll(list).size() <= 7);
  }
}

// The words of a slice that the other end has just taken are those of its message. Nothing is returned
// meanwhile, so that the race of two cannot happen.
TEST(BothEndsTakeAtOnceAndWriteMessages) {
  constexpr std::uint32_t kRounds = 200;
  constexpr std::uint32_t kSlices = 2048;
  for (std::uint32_t round = 0; round < kRounds; round++) {
    ListMemory memory(kSlices);
    SliceList creator = memory.Begin(ListRole::kShared, true);
    SliceList mapper = memory.Begin(ListRole::kShared, false);
    Turnstile start;
    const auto take_all = [&](SliceList& list) {
      std::vector<std::uint32_t> taken;
      std::uint32_t offset = 0;
      Outcome outcome = Outcome::kOk;
      while ((outcome = list.Allocate(offset)) == Outcome::kOk) {
        // As in a message of several slices: `next` counts from the start of the region.
        std::byte* slice = memory.bytes.data() + offset;
        StoreRelaxed<std::uint32_t>(slice + kSliceNext, offset);
        StoreRelaxed<std::uint8_t>(slice + kSliceFlags, kFlagInUse | kFlagHasNext);
        taken.push_back(offset);
      }
      CHECK_EQ(outcome, Outcome::kEmpty);
      return taken;
    };
    auto thread = std::async(std::launch::async, [&] {
      start.Await(1);
      return take_all(mapper);
    });
    start.Open(1);
    auto taken = take_all(creator);
    const auto others = thread.get();
    taken.insert(taken.end(), others.begin(), others.end());
    std::ranges::sort(taken);
    CHECK(std::ranges::adjacent_find(taken) == taken.end());
    // An end that loses the head too often gives up: what is left is free still.
    for (const std::uint32_t offset : AllocateAll(creator)) taken.push_back(offset);
    CHECK_EQ(taken.size(), std::size_t{kSlices - 1});
  }
}

// One end takes, both return at once: with a single taker the race of two cannot happen.
TEST(AThreadTakesWhatAnotherReturns) {
  constexpr std::uint32_t kRounds = 30'000;
  ListMemory memory(8);
  SliceList creator = memory.Begin(ListRole::kShared, true);
  SliceList mapper = memory.Begin(ListRole::kShared, false);
  alignas(64) std::array<std::byte, kRingHeaderBytes + 16 * kElementBytes> ring{};
  StoreRelaxed<std::uint32_t>(ring.data() + kRingCapacity, 16);
  EventQueue sender = EventQueue::Map(ring).value();
  EventQueue receiver = EventQueue::Map(ring).value();
  std::atomic<bool> failed{false};

  auto thread = std::async(std::launch::async, [&] {
    try {
      for (std::uint32_t round = 0; round < kRounds && !failed.load();) {
        Event event{};
        if (receiver.Peek(event) == PopResult::kEmpty) {
          std::this_thread::yield();
          continue;
        }
        CHECK_EQ(event.stream_id, round);
        CHECK(mapper.Borrow(event.offset));
        std::array<std::uint32_t, kPayload / 4> payload{};
        std::memcpy(payload.data(), memory.bytes.data() + event.offset + kSliceHeaderBytes, kPayload);
        for (const std::uint32_t word : payload) CHECK_EQ(word, round);
        CHECK(mapper.Free(event.offset));
        receiver.Advance();
        round++;
      }
    } catch (...) {
      failed.store(true);
      throw;
    }
  });
  const auto take = [&] {
    std::uint32_t offset = 0;
    Outcome outcome = Outcome::kEmpty;
    while (outcome == Outcome::kEmpty && !failed.load()) {
      outcome = creator.Allocate(offset);
      if (outcome == Outcome::kEmpty) std::this_thread::yield();
    }
    if (outcome == Outcome::kCorrupt) failed.store(true);
    return offset;
  };
  for (std::uint32_t round = 0; round < kRounds && !failed.load(); round++) {
    const std::uint32_t offset = take();
    if (failed.load()) break;
    std::array<std::uint32_t, kPayload / 4> payload{};
    payload.fill(round);
    std::memcpy(memory.bytes.data() + offset + kSliceHeaderBytes, payload.data(), kPayload);
    creator.MarkLent(offset);
    while (!sender.TryPush({round, offset, 0}) && !failed.load()) std::this_thread::yield();
    if (round % 3 == 0 && !failed.load()) (void)creator.Free(take());
  }
  thread.get();
  CHECK(!failed.load());
  CheckAccounts(creator);
  CHECK_EQ(AllocateAll(creator).size(), 7u);
}

}  // namespace
}  // namespace shm
