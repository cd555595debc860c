#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "layout.h"
#include "slice_list.h"

namespace shm {

// Which end of a session we are. The client creates the memory.
enum class Side : std::uint8_t { kClient, kServer };

// How the two ends share the lists.
enum class Discipline : std::uint8_t {
  kOwned,   // two shmesh ends: even lists are the client's to allocate from, odd the server's
  kShared,  // shmipc's own rule
};

struct SliceSpan {
  std::uint32_t slice;  // header offset, the slice's name in Free
  std::uint32_t bytes;
  std::uint32_t payload() const noexcept {
    return slice + static_cast<std::uint32_t>(layout::kSliceHeaderBytes);
  }
};

// A message as it lies in memory: header offset, payload offset and bytes of each slice.
struct ReceivedSlice {
  std::uint32_t slice;
  std::uint32_t payload;
  std::uint32_t bytes;
};

// The memory both ends exchange slices in.
class BufferRegion {
 public:
  static constexpr std::uint32_t kInitialLinked = 4;
  static constexpr std::size_t kMaxLists = 64;
  // For slices. Offsets are 32 bits wide; the rest is for headers.
  static constexpr std::uint64_t kMaxMemory = std::uint64_t{3} * 1024 * 1024 * 1024;
  // Sparse memory costs the peer that brings it nothing, but we keep private state of every slice.
  static constexpr std::uint32_t kMaxSlices = 1024 * 1024;

  // Bytes a region for `memory` bytes of payload, at most kMaxMemory, takes, and its lists.
  static std::size_t Plan(std::uint64_t memory, std::vector<SliceList::Geometry>& lists);
  static void Initialise(std::span<std::byte> region,
                         const std::vector<SliceList::Geometry>& lists) noexcept;
  // Reads and checks the list table once; afterwards only private copies of it are used.
  static std::optional<BufferRegion> Map(std::span<std::byte> region, std::string& error);

  // Chooses the rule. Nothing may be allocated before.
  [[nodiscard]] bool Begin(Side side, Discipline discipline, std::string& error);

  // Takes slices for up to `bytes`; `spans` receives as many as were had, with the bytes each is to
  // carry. Returns the bytes covered, or -1 when the region is corrupt.
  std::int64_t Allocate(std::uint32_t bytes, std::vector<SliceSpan>& spans);
  // Links allocated slices to a message and lends them. Returns the offset for the event.
  std::uint32_t Seal(std::span<const SliceSpan> spans) noexcept;
  // Walks a message the peer sent. False when anything in it is not as a peer may write it.
  [[nodiscard]] bool Receive(std::uint32_t offset, std::vector<ReceivedSlice>& slices);
  [[nodiscard]] bool Free(std::uint32_t slice);
  // Takes back what the peer returned, in all lists. False when corrupt.
  [[nodiscard]] bool Reclaim();

  const std::vector<SliceList>& lists() const noexcept { return lists_; }
  std::uint32_t slices() const noexcept { return slices_; }

 private:
  explicit BufferRegion(std::span<std::byte> region) noexcept : region_(region) {}
  SliceList* Find(std::uint32_t offset) noexcept;
  SliceList::Outcome AllocateOne(std::uint32_t bytes, std::uint32_t& offset, SliceList*& list);

  std::span<std::byte> region_;
  std::vector<SliceList> lists_;  // ascending payload
  std::uint32_t slices_ = 0;
};

}  // namespace shm
