#include "buffer_region.h"

#include <algorithm>

#include "atomics.h"
#include "layout.h"

namespace shm {

using namespace layout;

namespace {

// A slice much larger than the bytes it carries wastes budget another request could use. Five: from
// 52 KiB on a message lies in one slice.
constexpr std::uint32_t kMaxWaste = 5;

}  // namespace

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
  discipline_ = discipline;
  const bool client = side == Side::kClient;
  if ((client || discipline == Discipline::kOwned) && !ReadTrailer(error)) return false;
  if (discipline == Discipline::kShared) {
    ShareLists(client);
    return true;
  }
  smallest_ = client || lists_.size() == 1 ? 0 : 1;
  for (std::size_t i = 0; i < lists_.size(); i++) {
    SliceList& list = lists_[i];
    const std::uint32_t capacity = list.geometry().capacity;
    if (capacity < 2) {
      error = "list " + std::to_string(i) + " has a single slice";
      return false;
    }
    const bool ours = (i % 2 == 0) == client;
    list.Begin(ours ? ListRole::kOurs : ListRole::kPeers, std::min(capacity, kInitialLinked));
  }
  return true;
}

// A plain shmipc peer takes whatever is linked: the memory of both ends, in about equal parts. The
// largest slices first, since a list has kInitialLinked of them whatever its part is.
void BufferRegion::ShareLists(bool creator) {
  std::uint64_t left = 2 * budget_;
  budget_ = kMaxMemory;
  for (std::size_t i = lists_.size(); i-- > 0;) {
    const SliceList::Geometry& list = lists_[i].geometry();
    std::uint32_t linked = list.capacity;
    if (creator) {
      const std::uint64_t part = left / (i + 1) / list.payload;
      linked = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(
          part, std::min(list.capacity, kInitialLinked), list.capacity));
      left -= std::min(left, std::uint64_t{linked} * list.payload);
    }
    lists_[i].BeginShared(std::min(list.capacity, kInitialLinked), linked, creator);
  }
}

std::int64_t BufferRegion::Allocate(std::uint32_t bytes, std::vector<SliceSpan>& spans) {
  std::uint32_t rest = bytes;
  for (std::uint32_t count = 0; rest > 0 && count < kMaxChain; count++) {
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
  // Small messages, which are most.
  SliceList& smallest = lists_[smallest_];
  if (bytes <= smallest.geometry().payload) {
    const auto outcome = Take(smallest, offset);
    list = &smallest;
    if (outcome != SliceList::Outcome::kEmpty) return outcome;
  }
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
    const auto outcome = Take(*order[i], offset);
    if (outcome == SliceList::Outcome::kEmpty) continue;
    list = order[i];
    return outcome;
  }
  return SliceList::Outcome::kEmpty;
}

SliceList::Outcome BufferRegion::Take(SliceList& list, std::uint32_t& offset) {
  if (list.role() == ListRole::kPeers) return SliceList::Outcome::kEmpty;
  // What is left the peer needs, too: shmipc-go does not wait for more.
  if (list.role() == ListRole::kShared && list.RunsShort()) return SliceList::Outcome::kEmpty;
  const std::uint32_t payload = list.geometry().payload;
  if (charged_ + payload > budget_) {
    if (!Reclaim()) return SliceList::Outcome::kCorrupt;
    if (charged_ + payload > budget_) return SliceList::Outcome::kEmpty;
  }
  const auto outcome = list.Allocate(offset);
  // Under shmipc's rule nobody can say what is ours.
  if (outcome == SliceList::Outcome::kOk && list.role() == ListRole::kOurs) charged_ += payload;
  return outcome;
}

SliceList::Outcome BufferRegion::Hold(std::uint32_t bytes, std::uint32_t& slice,
                                      std::uint64_t most) {
  for (auto& list : lists_) {
    const std::uint32_t payload = list.geometry().payload;
    if (payload < bytes) continue;
    if (charged_ + payload > most) {
      if (!Reclaim()) return SliceList::Outcome::kCorrupt;
      if (charged_ + payload > most) return SliceList::Outcome::kEmpty;
    }
    const auto outcome = Take(list, slice);
    if (outcome != SliceList::Outcome::kEmpty) return outcome;
  }
  return SliceList::Outcome::kEmpty;
}

bool BufferRegion::Free(std::uint32_t slice) {
  SliceList* list = Find(slice);
  if (list == nullptr) return false;
  if (list->OnLoan(slice)) {
    const auto over = incoming_.Release(slice);
    if (!over) return false;
    for (const ReceivedSlice& part : *over) Find(part.slice)->EndLoan(part.slice);
    return true;
  }
  if (!list->Free(slice)) return false;
  if (list->role() == ListRole::kOurs) charged_ -= list->geometry().payload;
  return true;
}

bool BufferRegion::Reclaim() {
  for (auto& list : lists_) {
    if (list.role() != ListRole::kOurs) continue;
    if (list.Reclaim() == SliceList::Outcome::kCorrupt) return false;
  }
  charged_ = InUse();
  return true;
}

void BufferRegion::SetTime(std::uint32_t now) noexcept {
  for (auto& list : lists_) list.SetTime(now);
}

std::uint32_t BufferRegion::max_chain() const noexcept {
  return discipline_ == Discipline::kOwned ? std::min(slices_, kMaxChain) : slices_;
}

std::uint64_t BufferRegion::InUse() const noexcept {
  std::uint64_t bytes = 0;
  for (const auto& list : lists_) {
    if (list.role() != ListRole::kOurs) continue;
    bytes += (list.allocated() - list.freed()) * list.geometry().payload;
  }
  return bytes;
}

std::uint64_t BufferRegion::WithPeer() const noexcept {
  std::uint64_t slices = 0;
  for (const auto& list : lists_) slices += list.WithPeer();
  return slices;
}

std::uint64_t BufferRegion::Borrowed() const noexcept {
  std::uint64_t bytes = 0;
  for (const auto& list : lists_) bytes += std::uint64_t{list.borrowed()} * list.geometry().payload;
  return bytes;
}

std::uint32_t BufferRegion::max_payload() const noexcept {
  std::uint32_t most = 0;
  for (const auto& list : lists_) {
    if (list.role() != ListRole::kPeers) most = list.geometry().payload;
  }
  return most;
}

SliceList* BufferRegion::Find(std::uint32_t offset) noexcept {
  for (auto& list : lists_) {
    if (list.Contains(offset)) return &list;
  }
  return nullptr;
}

}  // namespace shm
