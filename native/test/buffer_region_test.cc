#include "core/buffer_region.h"

#include <sys/mman.h>

#include <string>
#include <vector>

#include "check.h"
#include "core/layout.h"
#include "region_memory.h"

namespace shm {
namespace {

using namespace layout;
using namespace test;

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
