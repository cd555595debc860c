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

struct RegionMemory {
  explicit RegionMemory(std::uint64_t memory = kMemory) : bytes(BufferRegion::Plan(memory, lists)) {
    BufferRegion::Initialise(bytes, lists);
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

TEST(PlansDistinctAscendingPayloadsThatFillTheMemory) {
  for (const std::uint64_t mebibytes : {1, 2, 7, 8, 64, 1024, 3072}) {
    std::vector<SliceList::Geometry> lists;
    const std::uint64_t memory = mebibytes * kMemory;
    const std::size_t bytes = BufferRegion::Plan(memory, lists);
    CHECK_EQ(lists.size(), 6u);
    CHECK_EQ(lists.back().end(), bytes);
    CHECK(bytes <= UINT32_MAX);
    std::uint64_t payload = 0;
    std::uint64_t ours = 0;
    for (std::size_t i = 0; i < lists.size(); i++) {
      CHECK_EQ(lists[i].payload % 4, 0u);
      if (i > 0) CHECK(lists[i].payload > lists[i - 1].payload);
      if (i > 0) CHECK_EQ(lists[i].header, lists[i - 1].end());
      payload += std::uint64_t{lists[i].payload} * lists[i].capacity;
      if (i % 2 == 0) ours += std::uint64_t{lists[i].payload} * lists[i].capacity;
    }
    CHECK(payload > memory / 10 * 8 && payload < memory / 10 * 11);
    // Either direction gets about a half.
    CHECK(ours > payload / 10 * 4 && ours < payload / 10 * 6);
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
  CHECK_EQ(refusal(5, kListCapacity, 6), "list 5 of 6 slices does not fit its region");
  CHECK_EQ(refusal(0, kListPayload, 0xfffffffc), "list 0 of 16 slices does not fit its region");
}

TEST(RefusesANumberOfListsItDoesNotHold) {
  RegionMemory memory;
  memory.Set<std::uint16_t>(kRegionLists, 0);
  CHECK_EQ(memory.Refusal(), "buffer region with 0 lists");
  memory.Set<std::uint16_t>(kRegionLists, 65);
  CHECK_EQ(memory.Refusal(), "buffer region with 65 lists");
  memory.Set<std::uint16_t>(kRegionLists, 7);
  CHECK_EQ(memory.Refusal(), "list 6 starts past the end of the buffer region");
  memory.bytes.resize(7);
  CHECK_EQ(memory.Refusal(), "buffer region of 7 bytes");
}

TEST(RefusesMoreSlicesThanItWouldKeepStateOf) {
  const SliceList::Geometry list{static_cast<std::uint32_t>(kRegionHeaderBytes), 4,
                                 BufferRegion::kMaxSlices + 1};
  RegionMemory memory;
  memory.bytes.assign(list.end(), std::byte{0});
  BufferRegion::Initialise(memory.bytes, {list});
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

TEST(RefusesAListOfOneSliceBetweenShmeshEnds) {
  RegionMemory memory;
  memory.Set<std::uint32_t>(memory.lists[5].header + kListCapacity, 1);
  std::string error;
  auto region = BufferRegion::Map(memory.bytes, error);
  CHECK(region.has_value());
  CHECK(!region->Begin(Side::kServer, Discipline::kOwned, error));
  CHECK_EQ(error, "list 5 has a single slice");
}

TEST(TakesTheSnuggestSlice) {
  RegionMemory memory;
  BufferRegion region = memory.Map(Side::kClient);
  const std::vector<std::pair<std::uint32_t, std::size_t>> expected = {
      {1, 0}, {4096, 0}, {12 * 1024, 2}, {32 * 1024, 2}, {32 * 1024 + 1, 4}, {64 * 1024, 4}};
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

TEST(CoversAsMuchAsThereIs) {
  RegionMemory memory;
  BufferRegion region = memory.Map(Side::kClient);
  std::vector<SliceSpan> spans;
  const std::int64_t covered = region.Allocate(100 * kMemory, spans);
  std::uint64_t expected = 0;
  for (std::size_t i = 0; i < memory.lists.size(); i += 2) {
    expected += std::uint64_t{memory.lists[i].payload} * (memory.lists[i].capacity - 1);
  }
  CHECK_EQ(covered, expected);
  CHECK_EQ(Covered(spans), covered);
  std::set<std::uint32_t> slices;
  for (const SliceSpan& span : spans) slices.insert(span.slice);
  CHECK_EQ(slices.size(), spans.size());
  std::vector<SliceSpan> none;
  CHECK_EQ(region.Allocate(1, none), 0);
  CHECK(none.empty());
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
