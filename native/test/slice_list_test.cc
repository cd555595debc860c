#include "core/slice_list.h"

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include "check.h"
#include "core/atomics.h"
#include "core/layout.h"
#include "list_memory.h"

namespace shm {
namespace {

using namespace layout;
using namespace test;
using Outcome = SliceList::Outcome;

void Lend(SliceList& ours, SliceList& peers, std::uint32_t offset) {
  ours.MarkLent(offset);
  CHECK(peers.Borrow(offset));
}

TEST(HandsOutEverySliceOnceButTheOneThatAListKeeps) {
  for (const std::uint32_t capacity : {2u, 3u, 4u, 5u, 100u}) {
    ListMemory memory(capacity);
    SliceList list = memory.Begin(ListRole::kOurs, true);
    CheckAccounts(list);
    const auto offsets = AllocateAll(list);
    CHECK_EQ(offsets.size(), capacity - 1);
    CHECK_EQ(std::set<std::uint32_t>(offsets.begin(), offsets.end()).size(), capacity - 1);
    for (const std::uint32_t offset : offsets) {
      CHECK(list.Contains(offset));
      CHECK_EQ((offset - memory.geometry.area()) % memory.geometry.stride(), 0u);
      CHECK_EQ(LoadRelaxed<std::uint32_t>(memory.bytes.data() + offset + kSliceCapacity), kPayload);
    }
    CheckAccounts(list);
    CHECK_EQ(list.held(), capacity - 1);
    for (const std::uint32_t offset : offsets) CHECK(list.Free(offset));
    CheckAccounts(list);
    CHECK_EQ(list.held(), 0u);
  }
}

TEST(GivesTheSliceFreedLastFirst) {
  ListMemory memory(8);
  SliceList list = memory.Begin(ListRole::kOurs, true);
  const std::uint32_t first = Take(list);
  const std::uint32_t second = Take(list);
  CHECK(list.Free(first));
  CHECK(list.Free(second));
  CHECK_EQ(Take(list), second);
  CHECK_EQ(Take(list), first);
}

TEST(TouchesASliceOnlyWhenNoneIsFree) {
  ListMemory memory(100);
  SliceList list = memory.Begin(ListRole::kOurs, true);
  CHECK_EQ(list.touched(), kLinked);
  for (int i = 0; i < 50; i++) CHECK(list.Free(Take(list)));
  CHECK_EQ(list.touched(), kLinked);
  AllocateAll(list);
  CHECK_EQ(list.touched(), 100u);
}

TEST(TakesBackWhatThePeerReturned) {
  ListMemory memory(kLinked);
  SliceList ours = memory.Begin(ListRole::kOurs, true);
  SliceList peers = memory.Begin(ListRole::kPeers, false);
  for (int round = 0; round < 10; round++) {
    const auto offsets = AllocateAll(ours);
    CHECK_EQ(offsets.size(), kLinked - 1);
    for (const std::uint32_t offset : offsets) Lend(ours, peers, offset);
    CHECK_EQ(ours.lent(), kLinked - 1);
    CHECK_EQ(ours.Reclaim(), Outcome::kEmpty);
    for (const std::uint32_t offset : offsets) CHECK(peers.Free(offset));
    CHECK_EQ(peers.borrowed(), 0u);
    CHECK_EQ(ours.Reclaim(), Outcome::kOk);
    CHECK_EQ(ours.lent(), 0u);
    CheckAccounts(ours);
  }
}

TEST(OnlyItsOwnerAllocates) {
  ListMemory memory(8);
  SliceList peers = memory.Begin(ListRole::kPeers, false);
  std::uint32_t offset = 0;
  CHECK_EQ(peers.Allocate(offset), Outcome::kEmpty);
}

TEST(AccountsBalanceThroughAnyOrderOfCalls) {
  ListMemory memory(9);
  SliceList ours = memory.Begin(ListRole::kOurs, true);
  SliceList peers = memory.Begin(ListRole::kPeers, false);
  std::mt19937 random(1);
  std::vector<std::uint32_t> held;
  std::vector<std::uint32_t> borrowed;
  const auto pick = [&random](std::vector<std::uint32_t>& from) {
    const std::size_t at = random() % from.size();
    const std::uint32_t offset = from[at];
    from.erase(from.begin() + static_cast<std::ptrdiff_t>(at));
    return offset;
  };
  for (int step = 0; step < 20'000; step++) {
    std::uint32_t offset = 0;
    switch (random() % 4) {
      case 0:
        if (ours.Allocate(offset) == Outcome::kOk) held.push_back(offset);
        break;
      case 1:
        if (!held.empty()) CHECK(ours.Free(pick(held)));
        break;
      case 2:
        if (held.empty()) break;
        borrowed.push_back(pick(held));
        Lend(ours, peers, borrowed.back());
        break;
      case 3:
        if (!borrowed.empty()) CHECK(peers.Free(pick(borrowed)));
        break;
    }
    CheckAccounts(ours);
    CHECK_EQ(ours.held(), held.size());
    CHECK_EQ(peers.borrowed(), borrowed.size());
    CHECK(ours.lent() >= borrowed.size());
  }
  CHECK(ours.Reclaim() != Outcome::kCorrupt);
  CHECK_EQ(ours.lent(), borrowed.size());
}

TEST(BorrowsOnlyWhatThePeerMaySend) {
  ListMemory memory(8);
  SliceList ours = memory.Begin(ListRole::kOurs, true);
  SliceList peers = memory.Begin(ListRole::kPeers, false);
  CHECK(!ours.Borrow(memory.Offset(0)));
  CHECK(!ours.Borrow(memory.Offset(7)));  // never used
  CHECK(!peers.Borrow(memory.Offset(0) + 4));
  CHECK(!peers.Borrow(memory.Offset(8)));
  CHECK(!peers.Borrow(memory.Offset(0) - 20));
  CHECK(peers.Borrow(memory.Offset(0)));
  CHECK(!peers.Borrow(memory.Offset(0)));
  CHECK_EQ(peers.borrowed(), 1u);
}

TEST(FreesOnlyWhatIsHeldOrBorrowed) {
  ListMemory memory(8);
  SliceList ours = memory.Begin(ListRole::kOurs, true);
  SliceList peers = memory.Begin(ListRole::kPeers, false);
  const std::uint32_t offset = Take(ours);
  CHECK(!ours.Free(offset + 4));
  CHECK(!ours.Free(memory.Offset(8)));
  CHECK(!peers.Free(offset));
  Lend(ours, peers, offset);
  CHECK(!ours.Free(offset));
  CHECK(peers.Free(offset));
  CHECK(!peers.Free(offset));
  const std::uint32_t unsent = Take(ours);
  CHECK(ours.Free(unsent));
  CHECK(!ours.Free(unsent));
  CheckAccounts(ours);
}

// Slice 3 is the last of the shared list at first: what is returned is linked to it.
struct ReturnCase {
  ReturnCase() : memory(8), ours(memory.Begin(ListRole::kOurs, true)) {
    lent = AllocateAll(ours);
    kept = Index(lent.back());
    lent.pop_back();
    for (const std::uint32_t offset : lent) ours.MarkLent(offset);
  }
  std::uint32_t Index(std::uint32_t offset) const {
    return (offset - memory.geometry.area()) / memory.geometry.stride();
  }
  std::uint32_t Relative(std::uint32_t index) const { return index * memory.geometry.stride(); }
  void ExpectCorrupt() {
    CHECK_EQ(ours.Reclaim(), Outcome::kCorrupt);
    std::uint32_t offset = 0;
    // And for ever: the caller retires the region.
    CHECK_EQ(ours.Reclaim(), Outcome::kCorrupt);
    CheckAccounts(ours);
    CHECK(ours.Free(memory.Offset(kept)));
    Outcome outcome = Outcome::kOk;
    while (outcome == Outcome::kOk) outcome = ours.Allocate(offset);
    CHECK_EQ(outcome, Outcome::kCorrupt);
  }

  ListMemory memory;
  SliceList ours;
  std::vector<std::uint32_t> lent;
  std::uint32_t kept;  // allocated, not sent
};

TEST(ReportsTheReturnOfASliceThatWasNotLent) {
  ReturnCase of_a_held_slice;
  of_a_held_slice.memory.LinkTo(3, of_a_held_slice.Relative(of_a_held_slice.kept));
  of_a_held_slice.ExpectCorrupt();

  ReturnCase of_a_free_slice;
  CHECK(of_a_free_slice.ours.Free(of_a_free_slice.memory.Offset(of_a_free_slice.kept)));
  of_a_free_slice.memory.LinkTo(3, of_a_free_slice.Relative(of_a_free_slice.kept));
  CHECK_EQ(of_a_free_slice.ours.Reclaim(), Outcome::kCorrupt);
  CheckAccounts(of_a_free_slice.ours);
}

TEST(ReportsASliceReturnedTwice) {
  ReturnCase test;
  const std::uint32_t once = test.Index(test.lent[0]);
  const std::uint32_t other = test.Index(test.lent[1]);
  test.memory.LinkTo(3, test.Relative(once));
  test.memory.LinkTo(once, test.Relative(other));
  test.memory.LinkTo(other, test.Relative(once));
  test.ExpectCorrupt();
}

TEST(ReportsASliceLinkedToItself) {
  ReturnCase test;
  test.memory.LinkTo(3, test.Relative(3));
  test.ExpectCorrupt();
}

TEST(ReportsAReturnThatIsNoSlice) {
  for (const std::uint32_t relative : {4u, kPayload, 8 * (kPayload + 20), 0x7fffffffu, 0xffffffffu}) {
    ReturnCase test;
    test.memory.LinkTo(3, relative);
    test.ExpectCorrupt();
  }
}

TEST(HandsOutWhatCameBackLastBeforeWhatIsFreeLonger) {
  ListMemory memory(100);
  SliceList ours = memory.Begin(ListRole::kOurs, true);
  SliceList peers = memory.Begin(ListRole::kPeers, false);
  // Many free slices.
  for (const std::uint32_t offset : AllocateAll(ours)) CHECK(ours.Free(offset));
  std::set<std::uint32_t> used;
  for (int round = 0; round < 50; round++) {
    const std::uint32_t offset = Take(ours);
    used.insert(offset);
    Lend(ours, peers, offset);
    CHECK(peers.Free(offset));
  }
  // Two: the list keeps the one that came back last.
  CHECK_EQ(used.size(), 2u);
}

TEST(AnEmptyStackReportsWhatThePeerReturnedWrongly) {
  ReturnCase test;
  test.memory.LinkTo(3, 1);
  std::uint32_t offset = 0;
  CHECK_EQ(test.ours.Allocate(offset), Outcome::kCorrupt);
}

TEST(IgnoresHeadTailAndSizeOfAListItOwns) {
  ListMemory memory(8);
  SliceList ours = memory.Begin(ListRole::kOurs, true);
  SliceList peers = memory.Begin(ListRole::kPeers, false);
  for (std::size_t word = 0; word < kListHeaderBytes; word += 4) {
    StoreRelaxed<std::uint32_t>(memory.Header() + word, 0xfffffff3);
  }
  for (int round = 0; round < 20; round++) {
    const auto offsets = AllocateAll(ours);
    CHECK_EQ(offsets.size(), 7u);
    for (const std::uint32_t offset : offsets) Lend(ours, peers, offset);
    for (const std::uint32_t offset : offsets) CHECK(peers.Free(offset));
  }
  CheckAccounts(ours);
}

}  // namespace
}  // namespace shm
