#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "check.h"
#include "core/buffer_region.h"
#include "region_memory.h"

namespace shm {
namespace {

using namespace test;

std::uint32_t Covered(const std::vector<SliceSpan>& spans) {
  std::uint32_t sum = 0;
  for (const SliceSpan& span : spans) sum += span.bytes;
  return sum;
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

}  // namespace
}  // namespace shm
