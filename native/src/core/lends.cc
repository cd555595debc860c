#include "lends.h"

#include <algorithm>
#include <utility>

namespace shm {

bool OutgoingLends::Matches(Chain chain) const {
  const auto known = chains_.find(chain[0].slice);
  return known != chains_.end() && std::ranges::equal(known->second.chain, chain);
}

bool OutgoingLends::Full(std::uint32_t first) const {
  const auto known = chains_.find(first);
  return known != chains_.end() && known->second.lends == kMaxLends;
}

void OutgoingLends::Add(Chain chain) {
  Lent& lent = chains_[chain[0].slice];
  if (lent.lends == 0) lent.chain.assign(chain.begin(), chain.end());
  lent.lends++;
  outstanding_++;
}

std::optional<std::vector<SliceSpan>> OutgoingLends::End(std::uint32_t first) {
  const auto known = chains_.find(first);
  if (known == chains_.end()) return std::nullopt;
  outstanding_--;
  if (--known->second.lends > 0) return std::vector<SliceSpan>{};
  auto chain = std::move(known->second.chain);
  chains_.erase(known);
  return chain;
}

const std::vector<ReceivedSlice>* IncomingLends::Find(std::uint32_t first) const {
  const auto known = chains_.find(first);
  return known == chains_.end() ? nullptr : &known->second.slices;
}

void IncomingLends::Add(const std::vector<ReceivedSlice>& chain) {
  const std::uint32_t first = chain[0].slice;
  chains_.emplace(first, Chain{chain, chain.size()});
  for (const ReceivedSlice& slice : chain) parts_.emplace(slice.slice, Part{first, 1});
}

bool IncomingLends::BorrowAgain(std::uint32_t first) {
  Chain& chain = chains_.at(first);
  for (const ReceivedSlice& slice : chain.slices) {
    if (parts_.at(slice.slice).borrows == kMaxLends) return false;
  }
  for (const ReceivedSlice& slice : chain.slices) parts_.at(slice.slice).borrows++;
  chain.borrows += chain.slices.size();
  return true;
}

std::optional<std::vector<ReceivedSlice>> IncomingLends::Release(std::uint32_t slice) {
  const auto part = parts_.find(slice);
  if (part == parts_.end() || part->second.borrows == 0) return std::nullopt;
  part->second.borrows--;
  const auto known = chains_.find(part->second.first);
  if (--known->second.borrows > 0) return std::vector<ReceivedSlice>{};
  auto chain = std::move(known->second.slices);
  chains_.erase(known);
  for (const ReceivedSlice& ended : chain) parts_.erase(ended.slice);
  return chain;
}

}  // namespace shm
