#include <array>

#include "core/event_queue.h"
#include "list_memory.h"
#include "scenarios.h"
#include "weak_memory.h"

namespace shm::scenarios {
namespace {

using namespace layout;
using test::kPayload;
using test::ListMemory;
using weak::Random;
using Outcome = SliceList::Outcome;

constexpr std::uint32_t kCapacity = 16;
// The peer's tries are more than the owner's: what was lent comes back.
constexpr int kTries = 60;

struct Shared {
  explicit Shared(std::uint32_t slices) : memory(slices) {
    StoreRelaxed<std::uint32_t>(ring.data() + kRingCapacity, kCapacity);
    weak::Share(ring);
    weak::Share(memory.bytes);
  }
  std::byte* Payload(std::uint32_t offset) {
    return memory.bytes.data() + offset + kSliceHeaderBytes;
  }

  ListMemory memory;
  alignas(64) std::array<std::byte, kRingHeaderBytes + kCapacity * kElementBytes> ring{};
};

// Allocates, fills and sends; now and then it changes its mind. Returns how many it sent.
std::uint32_t Lend(Shared& shared, SliceList& list, std::uint32_t wanted) {
  std::uint32_t loans = 0;
  EventQueue queue = EventQueue::Map(shared.ring).value();
  for (int tries = 0; tries < kTries && loans < wanted; tries++) {
    std::uint32_t offset = 0;
    const Outcome outcome = list.Allocate(offset);
    CHECK(outcome != Outcome::kCorrupt);
    if (outcome == Outcome::kEmpty) continue;
    weak::PlainWrite(shared.Payload(offset), kPayload);
    if (Random(4) == 0) {
      CHECK(list.Free(offset));
      continue;
    }
    // As a message of more slices would leave it.
    std::byte* slice = shared.memory.bytes.data() + offset;
    StoreRelaxed<std::uint32_t>(slice + kSliceNext, 4 * Random(100));
    StoreRelaxed<std::uint8_t>(slice + kSliceFlags, kFlagInUse | kFlagHasNext);
    list.MarkLent(offset);
    CHECK(queue.TryPush({loans, offset, 0}));
    loans++;
  }
  return loans;
}

// Reads what it is lent, and returns it. The ring's slot is given back first: only the list may
// tell the owner that the payload was read. Returns how many it returned.
std::uint32_t Return(Shared& shared, SliceList& list) {
  std::uint32_t returned = 0;
  EventQueue queue = EventQueue::Map(shared.ring).value();
  for (int tries = 0; tries < 4 * kTries; tries++) {
    Event event{};
    if (queue.Peek(event) != PopResult::kEvent) continue;
    CHECK(list.Borrow(event.offset));
    queue.Advance();
    weak::PlainRead(shared.Payload(event.offset), kPayload);
    CHECK(list.Free(event.offset));
    returned++;
  }
  return returned;
}

// What counts must be right once both are done, with `taken` slices not returned.
std::string Check(Shared& shared, std::uint32_t slices, std::uint32_t taken) {
  if (shared.memory.Word(kListSize) != slices - taken) return "a list that counts wrongly";
  SliceList after = shared.memory.Begin(ListRole::kShared, false);
  if (test::AllocateAll(after).size() + 1 != slices - taken) return "a slice out of reach";
  return "";
}

std::string LendAndReturn(std::uint32_t seed, ListRole first, ListRole second) {
  constexpr std::uint32_t kSlices = 5;
  Shared shared(kSlices);
  SliceList owner = shared.memory.Begin(first, true);
  SliceList peer = shared.memory.Begin(second, false);
  std::uint32_t taken = 0;
  std::uint32_t returned = 0;
  const std::string error = weak::Run(
      seed, [&] { taken = Lend(shared, owner, 12); }, [&] { returned = Return(shared, peer); });
  if (!error.empty() || first != ListRole::kShared) return error;
  return Check(shared, kSlices, taken - returned);
}

// Takes up to two at a time: one end leaves the other without.
void TakeAndReturn(Shared& shared, SliceList& list) {
  for (int round = 0; round < 3; round++) {
    std::array<std::uint32_t, 2> taken{};
    std::size_t count = 0;
    for (const std::uint32_t wanted = 1 + Random(2); count < wanted; count++) {
      Outcome outcome = Outcome::kEmpty;
      {
        const weak::Uninterrupted alone;
        outcome = list.Allocate(taken[count]);
      }
      CHECK(outcome != Outcome::kCorrupt);
      if (outcome == Outcome::kEmpty) break;
      weak::PlainWrite(shared.Payload(taken[count]), kPayload);
    }
    while (count > 0) CHECK(list.Free(taken[--count]));
  }
}

}  // namespace

std::string OwnedListReturns(std::uint32_t seed) {
  return LendAndReturn(seed, ListRole::kOurs, ListRole::kPeers);
}

std::string SharedListWithOneTaker(std::uint32_t seed) {
  return LendAndReturn(seed, ListRole::kShared, ListRole::kShared);
}

// Both take and return. One take after the other and from the newest head: what is left out is the
// ABA race of shmipc's layout, which no order cures.
std::string SharedListWithTwoTakers(std::uint32_t seed) {
  Shared shared(4);
  SliceList creator = shared.memory.Begin(ListRole::kShared, true);
  SliceList mapper = shared.memory.Begin(ListRole::kShared, false);
  weak::AlwaysNewest(shared.memory.Header() + kListHead);
  const std::string error = weak::Run(
      seed, [&] { TakeAndReturn(shared, creator); }, [&] { TakeAndReturn(shared, mapper); });
  return error.empty() ? Check(shared, 4, 0) : error;
}

// Both take and nobody returns: no slice comes to the head twice, so that takes may interleave.
std::string SharedListWhoseTakersMeet(std::uint32_t seed) {
  constexpr std::uint32_t kSlices = 10;
  constexpr std::uint32_t kTakes = 3;
  Shared shared(kSlices);
  SliceList creator = shared.memory.Begin(ListRole::kShared, true);
  SliceList mapper = shared.memory.Begin(ListRole::kShared, false);
  const auto take = [&shared](SliceList& list) {
    for (std::uint32_t i = 0; i < kTakes; i++) {
      std::uint32_t offset = 0;
      CHECK_EQ(list.Allocate(offset), Outcome::kOk);
      weak::PlainWrite(shared.Payload(offset), kPayload);
    }
  };
  const std::string error = weak::Run(
      seed, [&] { take(creator); }, [&] { take(mapper); });
  return error.empty() ? Check(shared, kSlices, 2 * kTakes) : error;
}

}  // namespace shm::scenarios
