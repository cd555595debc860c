// How a client divides the memory it brings.
#include <algorithm>
#include <array>

#include "atomics.h"
#include "buffer_region.h"

namespace shm {

using namespace layout;

namespace {

constexpr std::uint32_t kKiB = 1024;
constexpr std::array<std::uint32_t, 5> kClasses = {4 * kKiB, 32 * kKiB, 256 * kKiB, 1024 * kKiB,
                                                   4096 * kKiB};
// Bodies come in these sizes, too: with it their head fits the same slice, and they are one message.
constexpr std::uint32_t kHeadRoom = 4 * kKiB;
// Slices of a class a half must have room for; larger classes are left out.
constexpr std::uint64_t kMinPerHalf = 4;
// Distinct payload sizes per list: a freed slice is matched to its list by size alone in shmipc.
constexpr std::uint32_t kServerExtra = 64;

std::uint64_t TrailerAt(std::uint64_t end_of_lists) {
  return (end_of_lists + kTrailerAlignment - 1) / kTrailerAlignment * kTrailerAlignment;
}

}  // namespace

std::size_t BufferRegion::Plan(std::uint64_t memory, std::vector<SliceList::Geometry>& lists) {
  const std::uint64_t half = memory / 2;
  const auto used = static_cast<std::size_t>(
      std::ranges::count_if(kClasses, [&](std::uint32_t payload) {
        return payload == kClasses[0] || payload <= half / kMinPerHalf;
      }));
  // What is left of 32-bit offsets, equally for all lists.
  const std::uint64_t room =
      (UINT32_MAX - kRegionHeaderBytes - kTrailerBytes - kTrailerAlignment) / (2 * used) -
      kListHeaderBytes;
  std::uint64_t at = kRegionHeaderBytes;
  for (const std::uint32_t payload : std::span(kClasses).first(used)) {
    const std::uint32_t room_for_head = payload == kClasses[0] ? 0 : kHeadRoom;
    for (const std::uint32_t extra : {std::uint32_t{0}, kServerExtra}) {
      const std::uint32_t bytes = payload + room_for_head + extra;
      // One more than the half holds: a list always keeps one.
      const std::uint64_t capacity =
          std::min(std::max<std::uint64_t>(half / bytes, 1) + 1, room / (bytes + kSliceHeaderBytes));
      const SliceList::Geometry list{static_cast<std::uint32_t>(at), bytes,
                                     static_cast<std::uint32_t>(capacity)};
      lists.push_back(list);
      at = list.end();
    }
  }
  return TrailerAt(at) + kTrailerBytes;
}

void BufferRegion::Initialise(std::span<std::byte> region,
                              const std::vector<SliceList::Geometry>& lists, std::uint64_t memory,
                              std::uint64_t epoch) noexcept {
  const std::uint64_t end = lists.back().end();
  StoreRelaxed<std::uint16_t>(region.data() + kRegionLists,
                              static_cast<std::uint16_t>(lists.size()));
  StoreRelaxed<std::uint32_t>(region.data() + kRegionUsed,
                              static_cast<std::uint32_t>(end - kRegionHeaderBytes));
  for (const auto& list : lists) {
    SliceList::Initialise(region.data(), list, std::min(list.capacity, kInitialLinked));
  }
  std::byte* trailer = region.data() + TrailerAt(end);
  StoreRelaxed<std::uint32_t>(trailer + kTrailerBudget, static_cast<std::uint32_t>(memory / 2));
  StoreRelaxed<std::uint64_t>(trailer + kTrailerEpoch, epoch);
}

bool BufferRegion::ReadTrailer(std::string& error) {
  const std::uint64_t at = TrailerAt(end_of_lists());
  if (at + kTrailerBytes > region_.size()) {
    error = "the buffer region has no room for the trailer behind its lists";
    return false;
  }
  trailer_ = region_.data() + at;
  epoch_ = LoadRelaxed<std::uint64_t>(trailer_ + kTrailerEpoch);
  if (epoch_ == 0) {
    error = "the buffer region's trailer has no epoch";
    return false;
  }
  budget_ = LoadRelaxed<std::uint32_t>(trailer_ + kTrailerBudget);
  return true;
}

bool BufferRegion::Intact() const noexcept {
  return trailer_ == nullptr || LoadRelaxed<std::uint64_t>(trailer_ + kTrailerEpoch) == epoch_;
}

}  // namespace shm
