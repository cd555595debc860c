#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "core/atomics.h"
#include "core/buffer_region.h"

namespace shm::test {

constexpr std::uint64_t kMemory = 1024 * 1024;
constexpr std::uint64_t kEpoch = 0x0123456789abcdef;

// A buffer region in private memory, as a shmesh client makes it; any end may map it.
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

}  // namespace shm::test
