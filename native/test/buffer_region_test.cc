#include "core/buffer_region.h"

#include <sys/mman.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "check.h"
#include "core/atomics.h"
#include "core/layout.h"

namespace shm {
namespace {

using namespace layout;

constexpr std::uint64_t kMemory = 1024 * 1024;
constexpr std::uint64_t kEpoch = 0x0123456789abcdef;

struct RegionMemory {
  explicit RegionMemory(std::uint64_t payload = kMemory)
      : bytes(BufferRegion::Plan(payload, lists)) {
    BufferRegion::Initialise(bytes, lists, payload, kEpoch);
  }
  BufferRegion Map(Side side, Discipline discipline = Discipline::kOwned) {
    std::string error;
    auto region = BufferRegion::Map(bytes, error);
    CHECK_EQ(error, "");
    CHECK(region->Begin(side, discipline, error));
    return std::move(*region);
  }
  // The refusal, "" when there is none.
  std::string Refusal() {
    std::string error;
    const bool mapped = BufferRegion::Map(bytes, error).has_value();
    CHECK_EQ(mapped, error.empty());
    return error;
  }
  template <typename T>
  void Set(std::size_t offset, T value) {
    StoreRelaxed<T>(bytes.data() + offset, value);
  }

  std::vector<SliceList::Geometry> lists;
  std::vector<std::byte> bytes;
};

std::uint32_t Covered(const std::vector<SliceSpan>& spans) {
  std::uint32_t sum = 0;
  for (const SliceSpan& span : spans) sum += span.bytes;
  return sum;
}

constexpr std::uint64_t kGiB = 1024 * kMemory;

TEST(PlansDistinctAscendingPayloadsInsideTheRegion) {
  for (const std::uint64_t memory : {kMemory, 2 * kMemory, 7 * kMemory, 64 * kMemory, kGiB, 3 * kGiB}) {
    std::vector<SliceList::Geometry> lists;
    const std::size_t bytes = BufferRegion::Plan(memory, lists);
    CHECK(bytes <= UINT32_MAX);
    CHECK(bytes >= lists.back().end() + kTrailerBytes);
    std::uint64_t slices = 0;
    for (std::size_t i = 0; i < lists.size(); i++) {
      CHECK_EQ(lists[i].payload % 4, 0u);
      CHECK(lists[i].capacity >= 2);
      if (i > 0) CHECK(lists[i].payload > lists[i - 1].payload);
      if (i > 0) CHECK_EQ(lists[i].header, lists[i - 1].end());
      slices += lists[i].capacity;
    }
    CHECK(slices <= BufferRegion::kMaxSlices);
  }
}

TEST(EachListAloneHoldsAWholeHalfOfTheMemory) {
  for (const std::uint64_t memory : {kMemory, 16 * kMemory, 64 * kMemory, kGiB / 2}) {
    std::vector<SliceList::Geometry> lists;
    BufferRegion::Plan(memory, lists);
    for (const auto& list : lists) {
      const std::uint64_t usable = std::uint64_t{list.payload} * (list.capacity - 1);
      CHECK(usable <= memory / 2 && usable + list.payload > memory / 2);
    }
  }
}

TEST(TheLargestSlicesAreAQuarterOfAHalfAtMost) {
  const std::vector<std::pair<std::uint64_t, std::uint32_t>> expected = {
      {1, 36 * 1024}, {2, 260 * 1024}, {7, 260 * 1024}, {8, 1028 * 1024}, {31, 1028 * 1024},
      {32, 4100 * 1024}, {3072, 4100 * 1024}};
  for (const auto& [mebibytes, payload] : expected) {
    std::vector<SliceList::Geometry> lists;
    BufferRegion::Plan(mebibytes * kMemory, lists);
    CHECK_EQ(lists[lists.size() - 2].payload, payload);
  }
}

TEST(MapsTheListsItWasInitialisedWith) {
  RegionMemory memory;
  const BufferRegion region = memory.Map(Side::kServer);
  CHECK_EQ(region.lists().size(), memory.lists.size());
  std::uint32_t slices = 0;
  for (std::size_t i = 0; i < memory.lists.size(); i++) {
    CHECK_EQ(region.lists()[i].geometry().header, memory.lists[i].header);
    CHECK_EQ(region.lists()[i].geometry().payload, memory.lists[i].payload);
    CHECK_EQ(region.lists()[i].geometry().capacity, memory.lists[i].capacity);
    CHECK_EQ(region.lists()[i].role(), i % 2 == 1 ? ListRole::kOurs : ListRole::kPeers);
    slices += memory.lists[i].capacity;
  }
  CHECK_EQ(region.slices(), slices);
}

TEST(RefusesListTablesThatDoNotFit) {
  const auto refusal = [](std::size_t list, std::size_t word, std::uint32_t value) {
    RegionMemory memory;
    memory.Set(memory.lists[list].header + word, value);
    return memory.Refusal();
  };
  CHECK_EQ(refusal(0, kListPayload, 0),
           "list 0 has a payload of 0 bytes; payloads must be multiples of 4 and ascend");
  CHECK_EQ(refusal(0, kListPayload, 4094),
           "list 0 has a payload of 4094 bytes; payloads must be multiples of 4 and ascend");
  CHECK_EQ(refusal(1, kListPayload, 4096),
           "list 1 has a payload of 4096 bytes; payloads must be multiples of 4 and ascend");
  CHECK_EQ(refusal(0, kListCapacity, 0), "list 0 of 0 slices does not fit its region");
  CHECK_EQ(refusal(0, kListCapacity, 0xffffffff),
           "list 0 of 4294967295 slices does not fit its region");
  CHECK_EQ(refusal(3, kListCapacity, 17), "list 3 of 17 slices does not fit its region");
  CHECK_EQ(refusal(0, kListPayload, 0xfffffffc), "list 0 of 129 slices does not fit its region");
}

TEST(RefusesANumberOfListsItDoesNotHold) {
  RegionMemory memory;
  memory.Set<std::uint16_t>(kRegionLists, 0);
  CHECK_EQ(memory.Refusal(), "buffer region with 0 lists");
  memory.Set<std::uint16_t>(kRegionLists, 65);
  CHECK_EQ(memory.Refusal(), "buffer region with 65 lists");
  memory.Set<std::uint16_t>(kRegionLists, 5);
  CHECK_EQ(memory.Refusal(), "list 4 starts past the end of the buffer region");
  memory.bytes.resize(7);
  CHECK_EQ(memory.Refusal(), "buffer region of 7 bytes");
}

TEST(RefusesMoreSlicesThanItWouldKeepStateOf) {
  const SliceList::Geometry list{static_cast<std::uint32_t>(kRegionHeaderBytes), 4,
                                 BufferRegion::kMaxSlices + 1};
  RegionMemory memory;
  memory.bytes.assign(list.end() + 32, std::byte{0});
  BufferRegion::Initialise(memory.bytes, {list}, kMemory, kEpoch);
  CHECK_EQ(memory.Refusal(), "buffer region with more than 1048576 slices");
}

// 2^32 + 16 bytes a slice times 2^32 - 15 slices is 2^64 + 4294967056: modulo 2^64 it would fit.
TEST(RefusesAListWhoseSizeOverflows64Bits) {
  constexpr std::size_t kBytes = UINT32_MAX;
  void* address = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(address != MAP_FAILED);
  const std::span<std::byte> bytes(static_cast<std::byte*>(address), kBytes);
  StoreRelaxed<std::uint16_t>(bytes.data() + kRegionLists, 1);
  StoreRelaxed<std::uint32_t>(bytes.data() + kRegionHeaderBytes + kListPayload, 0xfffffffc);
  StoreRelaxed<std::uint32_t>(bytes.data() + kRegionHeaderBytes + kListCapacity, 0xfffffff1);
  std::string error;
  const bool mapped = BufferRegion::Map(bytes, error).has_value();
  munmap(address, kBytes);
  CHECK(!mapped);
  CHECK_EQ(error, "list 0 of 4294967281 slices does not fit its region");
}

// What Begin says of a marked client's memory, "" when nothing.
std::string BeginError(RegionMemory& memory) {
  std::string error;
  auto region = BufferRegion::Map(memory.bytes, error);
  CHECK(region.has_value());
  const bool begun = region->Begin(Side::kServer, Discipline::kOwned, error);
  CHECK_EQ(begun, error.empty());
  return error;
}

TEST(RefusesAListOfOneSliceBetweenShmeshEnds) {
  RegionMemory memory;
  memory.Set<std::uint32_t>(memory.lists[1].header + kListCapacity, 1);
  memory.Set<std::uint16_t>(kRegionLists, 2);
  memory.Set<std::uint64_t>((SliceList::Bytes(memory.lists[1].payload, 1) +
                             memory.lists[1].header + 7) / 8 * 8 + kTrailerEpoch, kEpoch);
  CHECK_EQ(BeginError(memory), "list 1 has a single slice");
}

TEST(RefusesARegionWithoutATrailer) {
  RegionMemory cut;
  cut.bytes.resize(cut.bytes.size() - 1);
  CHECK_EQ(BeginError(cut), "the buffer region has no room for the trailer behind its lists");
  RegionMemory blank;
  blank.Set<std::uint64_t>(blank.bytes.size() - kTrailerBytes + kTrailerEpoch, 0);
  CHECK_EQ(BeginError(blank), "the buffer region's trailer has no epoch");
}

TEST(KnowsARegionThatWasWrittenOver) {
  RegionMemory memory;
  const BufferRegion client = memory.Map(Side::kClient);
  const BufferRegion server = memory.Map(Side::kServer);
  CHECK(client.Intact() && server.Intact());
  memory.Set<std::uint64_t>(memory.bytes.size() - kTrailerBytes + kTrailerEpoch, kEpoch + 1);
  CHECK(!client.Intact() && !server.Intact());
}

TEST(TakesTheSnuggestSlice) {
  RegionMemory memory(64 * kMemory);
  BufferRegion region = memory.Map(Side::kClient);
  const std::vector<std::pair<std::uint32_t, std::size_t>> expected = {
      {1, 0},           {4096, 0},        {12 * 1024, 2},   {36 * 1024, 2},
      {64 * 1024, 4},   {100 * 1024, 4},  {260 * 1024, 4},
      {300 * 1024, 6},  {1028 * 1024, 6}, {1028 * 1024 + 1, 8}, {4100 * 1024, 8}};
  for (const auto& [bytes, list] : expected) {
    std::vector<SliceSpan> spans;
    CHECK_EQ(region.Allocate(bytes, spans), bytes);
    CHECK_EQ(spans.size(), 1u);
    CHECK_EQ(spans[0].bytes, bytes);
    CHECK(region.lists()[list].Contains(spans[0].slice));
    CHECK(region.Free(spans[0].slice));
  }
}

TEST(DoesNotWasteALargeSliceOnBytesThatSmallerOnesHold) {
  RegionMemory memory;
  BufferRegion region = memory.Map(Side::kClient);
  std::vector<SliceSpan> spans;
  CHECK_EQ(region.Allocate(5000, spans), 5000);
  CHECK_EQ(spans.size(), 2u);
  CHECK(region.lists()[0].Contains(spans[0].slice));
}

TEST(CoversAsMuchAsTheBudgetAllows) {
  RegionMemory memory;
  for (const Side side : {Side::kClient, Side::kServer}) {
    BufferRegion region = memory.Map(side);
    CHECK_EQ(region.budget(), kMemory / 2);
    std::vector<SliceSpan> spans;
    const std::int64_t covered = region.Allocate(100 * kMemory, spans);
    CHECK(covered <= static_cast<std::int64_t>(kMemory / 2));
    CHECK(covered > static_cast<std::int64_t>(kMemory / 2 - 4160));
    CHECK_EQ(Covered(spans), covered);
    CHECK_EQ(region.InUse(), static_cast<std::uint64_t>(covered));
    std::set<std::uint32_t> slices;
    for (const SliceSpan& span : spans) slices.insert(span.slice);
    CHECK_EQ(slices.size(), spans.size());
    std::vector<SliceSpan> none;
    CHECK_EQ(region.Allocate(1, none), 0);
    CHECK(none.empty());
    std::uint32_t slice = 0;
    CHECK_EQ(region.Hold(1, slice), SliceList::Outcome::kEmpty);
  }
}

// Slices that came back to one list make room for every other.
TEST(ASliceThatCameBackIsBudgetForAnyOther) {
  RegionMemory memory;
  BufferRegion client = memory.Map(Side::kClient);
  BufferRegion server = memory.Map(Side::kServer);
  for (int round = 0; round < 3; round++) {
    std::vector<SliceSpan> large;
    CHECK_EQ(client.Allocate(kMemory / 2, large), kMemory / 2);
    std::uint32_t slice = 0;
    CHECK_EQ(client.Hold(1, slice), SliceList::Outcome::kEmpty);
    std::vector<ReceivedSlice> received;
    CHECK(server.Receive(client.Seal(large), received));
    CHECK(server.Free(received[0].slice));
    std::set<std::uint32_t> small;
    while (client.Hold(1, slice) == SliceList::Outcome::kOk) {
      CHECK(client.lists()[0].Contains(slice));
      CHECK(small.insert(slice).second);
    }
    // What a slice of 36 KiB counts for.
    CHECK_EQ(small.size(), 9u);
    for (std::size_t i = 1; i < received.size(); i++) CHECK(server.Free(received[i].slice));
    for (const std::uint32_t held : small) CHECK(client.Free(held));
    CHECK(client.Reclaim());
    CHECK_EQ(client.InUse(), 0u);
  }
}

TEST(HoldsOneSliceOrNone) {
  RegionMemory memory(64 * kMemory);
  BufferRegion region = memory.Map(Side::kServer);
  CHECK_EQ(region.max_payload(), 4100 * 1024u + 64);
  for (const std::uint32_t bytes : {0u, 1u, 40'000u, 1'048'576u, 4'198'400u, 4'198'464u}) {
    std::uint32_t slice = 0;
    CHECK_EQ(region.Hold(bytes, slice), SliceList::Outcome::kOk);
    CHECK(region.Free(slice));
    CHECK(!region.Free(slice));
  }
  std::uint32_t slice = 0;
  CHECK_EQ(region.Hold(region.max_payload() + 1, slice), SliceList::Outcome::kEmpty);
  CHECK_EQ(region.Hold(0xffffffff, slice), SliceList::Outcome::kEmpty);
}

TEST(AllocatesNoMoreSlicesThanAMessageMayHave) {
  RegionMemory memory(64 * kMemory);
  BufferRegion region = memory.Map(Side::kClient);
  // All but the smallest used up.
  std::uint32_t slice = 0;
  while (region.budget() - region.InUse() > 8 * kMemory) {
    CHECK_EQ(region.Hold(4096 * 1024, slice), SliceList::Outcome::kOk);
  }
  std::vector<SliceSpan> spans;
  std::vector<SliceSpan> message;
  while (region.Allocate(4096, spans) == 4096) message.push_back(spans.back());
  CHECK(message.size() > BufferRegion::kMaxChain);
  CHECK(!region.Sendable(std::span(message).first(BufferRegion::kMaxChain + 1)));
  CHECK(region.Sendable(std::span(message).first(BufferRegion::kMaxChain)));
}

// The lists of a Go peer hold what may be taken, by either end, and nothing else.
TEST(LinksNoMoreThanTheMemoryForPlainPeers) {
  for (const std::uint64_t memory : {kMemory, 16 * kMemory, 64 * kMemory}) {
    RegionMemory region_memory(memory);
    BufferRegion client = region_memory.Map(Side::kClient, Discipline::kShared);
    BufferRegion server = region_memory.Map(Side::kServer, Discipline::kShared);
    std::uint64_t taken = 0;
    std::uint32_t slice = 0;
    while (server.Hold(1, slice) == SliceList::Outcome::kOk) {
      for (const auto& list : server.lists()) {
        if (list.Contains(slice)) taken += list.geometry().payload;
      }
    }
    CHECK(taken <= memory);
    CHECK(taken > memory / 2);
  }
}

TEST(AllocatesNothingForNoBytes) {
  RegionMemory memory;
  BufferRegion region = memory.Map(Side::kClient);
  std::vector<SliceSpan> spans;
  CHECK_EQ(region.Allocate(0, spans), 0);
  CHECK(spans.empty());
}

TEST(ReceivesAChainAsItWasSealed) {
  for (const Discipline discipline : {Discipline::kOwned, Discipline::kShared}) {
    RegionMemory memory;
    BufferRegion client = memory.Map(Side::kClient, discipline);
    BufferRegion server = memory.Map(Side::kServer, discipline);
    std::vector<SliceSpan> spans;
    CHECK_EQ(client.Allocate(150'000, spans), 150'000);
    CHECK(spans.size() > 2);
    std::vector<ReceivedSlice> received;
    CHECK(server.Receive(client.Seal(spans), received));
    CHECK_EQ(received.size(), spans.size());
    for (std::size_t i = 0; i < spans.size(); i++) {
      CHECK_EQ(received[i].slice, spans[i].slice);
      CHECK_EQ(received[i].payload, spans[i].payload());
      CHECK_EQ(received[i].bytes, spans[i].bytes);
      CHECK(server.Free(received[i].slice));
      CHECK(!server.Free(received[i].slice));
    }
    CHECK(client.Reclaim());
  }
}

// shmipc-go skips bytes it has read by moving the start, and may send a first slice without bytes.
TEST(ReceivesBytesThatStartInsideASliceAndSlicesWithout) {
  RegionMemory memory;
  BufferRegion client = memory.Map(Side::kClient, Discipline::kShared);
  BufferRegion server = memory.Map(Side::kServer, Discipline::kShared);
  std::vector<SliceSpan> spans;
  CHECK_EQ(client.Allocate(80'000, spans), 80'000);
  spans[0].bytes = 0;
  const std::uint32_t offset = client.Seal(spans);
  memory.Set<std::uint32_t>(spans[1].slice + kSliceStart, 100);
  memory.Set<std::uint32_t>(spans[1].slice + kSliceSize, 50);
  std::vector<ReceivedSlice> received;
  CHECK(server.Receive(offset, received));
  CHECK_EQ(received[0].bytes, 0u);
  CHECK_EQ(received[1].payload, spans[1].payload() + 100);
  CHECK_EQ(received[1].bytes, 50u);
}

TEST(FreesNothingOutsideItsLists) {
  RegionMemory memory;
  BufferRegion region = memory.Map(Side::kClient);
  for (const std::uint32_t slice : {0u, 7u, 8u, 43u, 45u, 0xffffffffu}) CHECK(!region.Free(slice));
  CHECK(!region.Free(static_cast<std::uint32_t>(memory.bytes.size())));
}

}  // namespace
}  // namespace shm
