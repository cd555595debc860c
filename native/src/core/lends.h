#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "slice_span.h"

// Chains of slices that one end lets the other read any number of times at once and that stay its
// own: the private books of both ends.
namespace shm {

// Lends of one chain outstanding at most; the receiver's counts cannot overflow.
constexpr std::uint32_t kMaxLends = 65535;

// The chains we lent, by their first slice.
class OutgoingLends {
 public:
  using Chain = std::span<const SliceSpan>;

  bool Contains(std::uint32_t first) const { return chains_.contains(first); }
  // Whether `chain` is, slice by slice and byte by byte, what was lent under its first slice.
  bool Matches(Chain chain) const;
  // Whether one more lend would be too many.
  bool Full(std::uint32_t first) const;
  // One more lend of `chain`, which matches if it is known.
  void Add(Chain chain);
  // One lend is over. nullopt when none was outstanding; else the slices nobody reads any more.
  std::optional<std::vector<SliceSpan>> End(std::uint32_t first);
  // Lends, not chains.
  std::uint64_t outstanding() const noexcept { return outstanding_; }

 private:
  struct Lent {
    std::vector<SliceSpan> chain;
    std::uint32_t lends = 0;
  };
  std::unordered_map<std::uint32_t, Lent> chains_;
  std::uint64_t outstanding_ = 0;
};

// The chains lent to us, by their first slice. A chain is read from shared memory by its first lend
// only: as long as one borrow lasts the copy kept here is what later lends mean.
class IncomingLends {
 public:
  // The chain known under its first slice, or nullptr.
  const std::vector<ReceivedSlice>* Find(std::uint32_t first) const;
  void Add(const std::vector<ReceivedSlice>& chain);
  // One borrow more of each slice of a known chain. False when that is too many.
  [[nodiscard]] bool BorrowAgain(std::uint32_t first);
  // Ends one borrow. nullopt when there is none; else the slices of its chain when that was the
  // chain's last borrow, none when not.
  std::optional<std::vector<ReceivedSlice>> Release(std::uint32_t slice);

 private:
  struct Chain {
    std::vector<ReceivedSlice> slices;
    std::uint64_t borrows = 0;  // of all slices
  };
  struct Part {
    std::uint32_t first;
    std::uint32_t borrows;
  };
  std::unordered_map<std::uint32_t, Chain> chains_;
  std::unordered_map<std::uint32_t, Part> parts_;  // by slice
};

}  // namespace shm
