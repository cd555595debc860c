#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "check.h"
#include "core/atomics.h"
#include "core/layout.h"
#include "core/slice_list.h"

namespace shm::test {

constexpr std::uint32_t kPayload = 64;
constexpr std::uint32_t kLinked = 4;

// One list between an end that allocates and one that returns.
struct ListMemory {
  explicit ListMemory(std::uint32_t capacity)
      : geometry{static_cast<std::uint32_t>(layout::kRegionHeaderBytes), kPayload, capacity},
        bytes(geometry.end()) {
    SliceList::Initialise(bytes.data(), geometry, std::min(capacity, kLinked));
  }
  SliceList Begin(ListRole role, bool creator) {
    SliceList list(bytes.data(), geometry);
    const std::uint32_t linked = std::min(geometry.capacity, kLinked);
    if (role == ListRole::kShared) {
      list.BeginShared(linked, geometry.capacity, creator);
    } else {
      list.Begin(role, linked);
    }
    return list;
  }
  std::uint32_t Offset(std::uint32_t index) const {
    return geometry.area() + index * geometry.stride();
  }
  std::byte* Header() { return bytes.data() + geometry.header; }
  std::byte* Slice(std::uint32_t index) { return bytes.data() + Offset(index); }
  std::uint32_t Word(std::size_t offset) { return LoadRelaxed<std::uint32_t>(Header() + offset); }
  // What a hostile peer does to a slice it was lent.
  void LinkTo(std::uint32_t index, std::uint32_t relative) {
    StoreRelaxed<std::uint32_t>(Slice(index) + layout::kSliceNext, relative);
    StoreRelaxed<std::uint8_t>(Slice(index) + layout::kSliceFlags, layout::kFlagHasNext);
  }

  SliceList::Geometry geometry;
  std::vector<std::byte> bytes;
};

inline void CheckAccounts(const SliceList& list) {
  CHECK_EQ(list.allocated(), list.freed() + list.held() + list.lent());
}

inline std::vector<std::uint32_t> AllocateAll(SliceList& list) {
  std::vector<std::uint32_t> offsets;
  std::uint32_t offset = 0;
  while (list.Allocate(offset) == SliceList::Outcome::kOk) offsets.push_back(offset);
  return offsets;
}

inline std::uint32_t Take(SliceList& list) {
  std::uint32_t offset = 0;
  CHECK_EQ(list.Allocate(offset), SliceList::Outcome::kOk);
  return offset;
}

}  // namespace shm::test
