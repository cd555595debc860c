#include "buffer_region.h"

#include <algorithm>

#include "atomics.h"
#include "layout.h"

namespace shm {

using namespace layout;

namespace {

constexpr std::uint32_t kSmall = 4096;
constexpr std::uint32_t kMedium = 32 * 1024;
constexpr std::uint32_t kLarge = 256 * 1024;
constexpr std::uint32_t kLargeOfSmallRegion = 64 * 1024;
constexpr std::uint64_t kSmallRegion = std::uint64_t{8} * 1024 * 1024;
// Distinct payload sizes per list: a freed slice is matched to its list by size alone in shmipc.
constexpr std::uint32_t kServerExtra = 64;
// A slice much larger than the bytes it carries wastes memory another request could use.
constexpr std::uint32_t kMaxWaste = 3;

std::uint32_t Count(std::uint64_t bytes, std::uint32_t payload) {
  // Two at least: a list always keeps one.
  return static_cast<std::uint32_t>(std::max<std::uint64_t>(bytes / payload, 2));
}

}  // namespace

std::size_t BufferRegion::Plan(std::uint64_t memory, std::vector<SliceList::Geometry>& lists) {
  const std::uint64_t half = memory / 2;
  const std::uint32_t large = memory < kSmallRegion ? kLargeOfSmallRegion : kLarge;
  const std::array<std::pair<std::uint32_t, std::uint64_t>, 3> classes = {
      {{kSmall, half / 8}, {kMedium, half / 4}, {large, half / 8 * 5}}};
  std::uint64_t at = kRegionHeaderBytes;
  for (const auto& [payload, bytes] : classes) {
    for (const std::uint32_t extra : {std::uint32_t{0}, kServerExtra}) {
      const SliceList::Geometry list{static_cast<std::uint32_t>(at), payload + extra,
                                     Count(bytes, payload)};
      lists.push_back(list);
      at = list.end();
    }
  }
  return at;
}

void BufferRegion::Initialise(std::span<std::byte> region,
                              const std::vector<SliceList::Geometry>& lists) noexcept {
  StoreRelaxed<std::uint16_t>(region.data() + kRegionLists,
                              static_cast<std::uint16_t>(lists.size()));
  StoreRelaxed<std::uint32_t>(region.data() + kRegionUsed,
                              static_cast<std::uint32_t>(region.size() - kRegionHeaderBytes));
  for (const auto& list : lists) {
    SliceList::Initialise(region.data(), list, std::min(list.capacity, kInitialLinked));
  }
}

std::optional<BufferRegion> BufferRegion::Map(std::span<std::byte> region, std::string& error) {
  if (region.size() < kRegionHeaderBytes || region.size() > UINT32_MAX) {
    error = "buffer region of " + std::to_string(region.size()) + " bytes";
    return std::nullopt;
  }
  BufferRegion mapped(region);
  // Relaxed, as all of the table: the handshake's messages came after it was written.
  const auto count = LoadRelaxed<std::uint16_t>(region.data() + kRegionLists);
  if (count == 0 || count > kMaxLists) {
    error = "buffer region with " + std::to_string(count) + " lists";
    return std::nullopt;
  }
  std::uint64_t at = kRegionHeaderBytes;
  std::uint32_t previous_payload = 0;
  std::uint64_t slices = 0;
  for (std::uint32_t i = 0; i < count; i++) {
    const std::string name = "list " + std::to_string(i);
    if (at + kListHeaderBytes > region.size()) {
      error = name + " starts past the end of the buffer region";
      return std::nullopt;
    }
    const std::byte* header = region.data() + at;
    const SliceList::Geometry list{static_cast<std::uint32_t>(at),
                                   LoadRelaxed<std::uint32_t>(header + kListPayload),
                                   LoadRelaxed<std::uint32_t>(header + kListCapacity)};
    // Multiples of 4: the 32-bit words of a slice header must not straddle a cache line.
    if (list.payload == 0 || list.payload % 4 != 0 || list.payload <= previous_payload) {
      error = name + " has a payload of " + std::to_string(list.payload) +
              " bytes; payloads must be multiples of 4 and ascend";
      return std::nullopt;
    }
    // Divided: the product of what a peer may claim overflows even 64 bits.
    const std::uint64_t room = region.size() - at - kListHeaderBytes;
    if (list.capacity == 0 ||
        list.capacity > room / (std::uint64_t{list.payload} + kSliceHeaderBytes)) {
      error = name + " of " + std::to_string(list.capacity) + " slices does not fit its region";
      return std::nullopt;
    }
    slices += list.capacity;
    if (slices > kMaxSlices) {
      error = "buffer region with more than " + std::to_string(kMaxSlices) + " slices";
      return std::nullopt;
    }
    previous_payload = list.payload;
    at = list.end();
    mapped.lists_.emplace_back(region.data(), list);
  }
  mapped.slices_ = static_cast<std::uint32_t>(slices);
  return mapped;
}

bool BufferRegion::Begin(Side side, Discipline discipline, std::string& error) {
  for (std::size_t i = 0; i < lists_.size(); i++) {
    SliceList& list = lists_[i];
    const std::uint32_t linked = std::min(list.geometry().capacity, kInitialLinked);
    if (discipline == Discipline::kShared) {
      list.Begin(ListRole::kShared, linked, side == Side::kClient);
      continue;
    }
    if (list.geometry().capacity < 2) {
      error = "list " + std::to_string(i) + " has a single slice";
      return false;
    }
    const bool ours = (i % 2 == 0) == (side == Side::kClient);
    list.Begin(ours ? ListRole::kOurs : ListRole::kPeers, linked, side == Side::kClient);
  }
  return true;
}

std::int64_t BufferRegion::Allocate(std::uint32_t bytes, std::vector<SliceSpan>& spans) {
  std::uint32_t rest = bytes;
  while (rest > 0) {
    std::uint32_t offset = 0;
    SliceList* list = nullptr;
    const auto outcome = AllocateOne(rest, offset, list);
    if (outcome == SliceList::Outcome::kCorrupt) return -1;
    if (outcome == SliceList::Outcome::kEmpty) break;
    const std::uint32_t part = std::min(rest, list->geometry().payload);
    spans.push_back({offset, part});
    rest -= part;
  }
  return std::int64_t{bytes} - rest;
}

SliceList::Outcome BufferRegion::AllocateOne(std::uint32_t bytes, std::uint32_t& offset,
                                             SliceList*& list) {
  // The snuggest list that holds it all; else the largest of the smaller ones; else any.
  SliceList* order[2 * kMaxLists];
  std::size_t count = 0;
  for (auto& candidate : lists_) {
    const std::uint32_t payload = candidate.geometry().payload;
    if (payload >= bytes && payload / kMaxWaste <= bytes) order[count++] = &candidate;
  }
  for (auto it = lists_.rbegin(); it != lists_.rend(); ++it) {
    if (it->geometry().payload < bytes) order[count++] = &*it;
  }
  for (auto& candidate : lists_) {
    if (candidate.geometry().payload >= bytes) order[count++] = &candidate;
  }
  for (std::size_t i = 0; i < count; i++) {
    const auto outcome = order[i]->Allocate(offset);
    if (outcome == SliceList::Outcome::kEmpty) continue;
    list = order[i];
    return outcome;
  }
  return SliceList::Outcome::kEmpty;
}

std::uint32_t BufferRegion::Seal(std::span<const SliceSpan> spans) noexcept {
  for (std::size_t i = 0; i < spans.size(); i++) {
    std::byte* slice = region_.data() + spans[i].slice;
    const bool last = i + 1 == spans.size();
    StoreRelaxed<std::uint32_t>(slice + kSliceSize, spans[i].bytes);
    StoreRelaxed<std::uint32_t>(slice + kSliceStart, 0);
    StoreRelaxed<std::uint32_t>(slice + kSliceNext, last ? 0 : spans[i + 1].slice);
    StoreRelaxed<std::uint8_t>(
        slice + kSliceFlags,
        static_cast<std::uint8_t>(last ? kFlagInUse : kFlagInUse | kFlagHasNext));
    Find(spans[i].slice)->MarkLent(spans[i].slice);
  }
  return spans[0].slice;
}

bool BufferRegion::Receive(std::uint32_t offset, std::vector<ReceivedSlice>& slices) {
  // Bounded by the private state: a slice seen twice is already borrowed.
  for (;;) {
    SliceList* list = Find(offset);
    if (list == nullptr || !list->Borrow(offset)) return false;
    const std::byte* slice = region_.data() + offset;
    const std::uint32_t payload = list->geometry().payload;
    const auto bytes = LoadRelaxed<std::uint32_t>(slice + kSliceSize);
    const auto start = LoadRelaxed<std::uint32_t>(slice + kSliceStart);
    const auto flags = LoadRelaxed<std::uint8_t>(slice + kSliceFlags);
    const auto next = LoadRelaxed<std::uint32_t>(slice + kSliceNext);
    slices.push_back({offset, 0, 0});
    if (bytes > payload || start > payload - bytes) return false;
    slices.back().payload =
        offset + static_cast<std::uint32_t>(kSliceHeaderBytes) + start;
    slices.back().bytes = bytes;
    if ((flags & kFlagHasNext) == 0) return true;
    offset = next;
  }
}

bool BufferRegion::Free(std::uint32_t slice) {
  SliceList* list = Find(slice);
  return list != nullptr && list->Free(slice);
}

bool BufferRegion::Reclaim() {
  for (auto& list : lists_) {
    if (list.role() != ListRole::kOurs) continue;
    if (list.Reclaim() == SliceList::Outcome::kCorrupt) return false;
  }
  return true;
}

SliceList* BufferRegion::Find(std::uint32_t offset) noexcept {
  for (auto& list : lists_) {
    if (list.Contains(offset)) return &list;
  }
  return nullptr;
}

}  // namespace shm
