#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "layout.h"
#include "lends.h"
#include "slice_list.h"
#include "slice_span.h"

namespace shm {

// Which end of a session we are. The client creates the memory.
enum class Side : std::uint8_t { kClient, kServer };

// How the two ends share the lists.
enum class Discipline : std::uint8_t {
  kOwned,   // two shmesh ends: even lists are the client's to allocate from, odd the server's
  kShared,  // shmipc's own rule
};

// The memory both ends exchange slices in.
//
// Every list is long enough for one end's whole half of the memory, and the region so several times
// larger than the memory: sparse, it costs what is touched. What may be touched is the budget's to
// say: payload bytes of the slices an end has allocated and not got back.
class BufferRegion {
 public:
  static constexpr std::uint32_t kInitialLinked = 2;
  static constexpr std::size_t kMaxLists = 64;
  // For slices. Offsets are 32 bits wide; the rest is for headers.
  static constexpr std::uint64_t kMaxMemory = std::uint64_t{3} * 1024 * 1024 * 1024;
  // Sparse memory costs the peer that brings it nothing, but we keep private state of every slice.
  static constexpr std::uint32_t kMaxSlices = 1024 * 1024;
  // Slices of one message between two shmesh ends: 4 MiB even in the smallest.
  static constexpr std::uint32_t kMaxChain = 1024;

  // Bytes a region for `memory` bytes of payload, at most kMaxMemory, takes, and its lists.
  static std::size_t Plan(std::uint64_t memory, std::vector<SliceList::Geometry>& lists);
  // Writes the lists into zeroed memory and behind them the trailer: `epoch` is random and not 0.
  static void Initialise(std::span<std::byte> region,
                         const std::vector<SliceList::Geometry>& lists, std::uint64_t memory,
                         std::uint64_t epoch) noexcept;
  // Reads and checks the list table once; afterwards only private copies of it are used.
  static std::optional<BufferRegion> Map(std::span<std::byte> region, std::string& error);

  // Chooses the rule. Nothing may be allocated before.
  [[nodiscard]] bool Begin(Side side, Discipline discipline, std::string& error);

  // Takes slices for up to `bytes`, at most kMaxChain; `spans` receives as many as were had, with
  // the bytes each is to carry. Returns the bytes covered, or -1 when the region is corrupt.
  std::int64_t Allocate(std::uint32_t bytes, std::vector<SliceSpan>& spans);
  // Takes one slice of at least `bytes`, the smallest that is to be had, unless more payload bytes
  // than `most` would be in use then.
  SliceList::Outcome Hold(std::uint32_t bytes, std::uint32_t& slice, std::uint64_t most = kMaxMemory);
  // Whether `spans` are slices we hold, each once and none of them lent, carrying no more than they
  // can: what Seal and a first Lend take.
  bool Sendable(std::span<const SliceSpan> spans) noexcept;
  // Links allocated slices to a message and gives them away. Returns the offset for the event.
  std::uint32_t Seal(std::span<const SliceSpan> spans, std::uint32_t stream = 0) noexcept;

  // Whether `spans` may be lent: Sendable, or exactly a chain that is lent already.
  bool Lendable(std::span<const SliceSpan> spans) noexcept;
  bool LentTooOften(std::uint32_t first) const { return outgoing_.Full(first); }
  // Links held slices to a message that stays ours. Returns the offset for the event.
  std::uint32_t Lend(std::span<const SliceSpan> spans, std::uint32_t stream = 0);
  // The peer is done with one lend of the chain. False when it had none.
  [[nodiscard]] bool EndLend(std::uint32_t first);
  std::uint64_t lends_outstanding() const noexcept { return outgoing_.outstanding(); }

  // Walks a message the peer sent, or lent. False when anything in it is not as a peer may write it:
  // refusal() then says what.
  [[nodiscard]] bool Receive(std::uint32_t offset, std::vector<ReceivedSlice>& slices,
                             std::uint32_t stream = 0);
  [[nodiscard]] bool ReceiveLend(std::uint32_t offset, std::vector<ReceivedSlice>& slices,
                                 std::uint32_t stream = 0);
  const char* refusal() const noexcept { return refusal_; }
  // Gives back a slice we hold or the peer sent us, or ends one borrow of a slice it lent.
  [[nodiscard]] bool Free(std::uint32_t slice);
  // Takes back what the peer returned, in all lists. False when corrupt.
  [[nodiscard]] bool Reclaim();
  void SetTime(std::uint32_t now) noexcept;
  // Whether free slices have memory worth giving back to the system, now or later.
  bool HasIdle() const noexcept;
  // SliceList::TakeIdle of all lists, the largest slices first, until little is left.
  void TakeIdle(std::uint32_t idle_ms, std::size_t most, std::vector<MemoryRange>& pages);
  // False when somebody wrote over the region, or punched it out. One relaxed load.
  bool Intact() const noexcept;

  const std::vector<SliceList>& lists() const noexcept { return lists_; }
  std::uint32_t slices() const noexcept { return slices_; }
  std::uint32_t max_chain() const noexcept;
  // Payload bytes we may have allocated; kMaxMemory when the peer's rule knows no budget.
  std::uint64_t budget() const noexcept { return budget_; }
  // Payload bytes of our slices that are allocated and not back, as far as reclaimed.
  std::uint64_t InUse() const noexcept;
  // Payload bytes of the peer's slices that are with us.
  std::uint64_t Borrowed() const noexcept;
  // SliceList::WithPeer of all lists; 0 between two shmesh ends.
  std::uint64_t WithPeer() const noexcept;
  // Of the largest slices we allocate from.
  std::uint32_t max_payload() const noexcept;

 private:
  explicit BufferRegion(std::span<std::byte> region) noexcept : region_(region) {}
  [[nodiscard]] bool ReadTrailer(std::string& error);
  void ShareLists(bool creator);
  std::uint64_t end_of_lists() const noexcept { return lists_.back().geometry().end(); }
  SliceList* Find(std::uint32_t offset) noexcept;
  SliceList::Outcome AllocateOne(std::uint32_t bytes, std::uint32_t& offset, SliceList*& list);
  SliceList::Outcome Take(SliceList& list, std::uint32_t& offset);
  void Write(std::span<const SliceSpan> spans) noexcept;
  bool Walk(std::uint32_t offset, bool lend, std::uint32_t stream,
            std::vector<ReceivedSlice>& slices);
  std::uint64_t IdleBytes() const noexcept;
  bool Refuse(const char* why) noexcept;

  std::span<std::byte> region_;
  std::vector<SliceList> lists_;  // ascending payload
  std::uint32_t slices_ = 0;
  std::size_t smallest_ = 0;  // of the lists we allocate from
  Discipline discipline_ = Discipline::kShared;
  const std::byte* trailer_ = nullptr;  // of a shmesh client's region
  std::uint64_t epoch_ = 0;
  std::uint64_t budget_ = kMaxMemory;
  std::uint64_t charged_ = 0;  // InUse, and perhaps slices that came back since it was counted
  OutgoingLends outgoing_;
  IncomingLends incoming_;
  const char* refusal_ = "";
};

}  // namespace shm
