#include "slice_list.h"

#include "atomics.h"
#include "layout.h"

namespace shm {

using namespace layout;

namespace {

// shmipc gives up after as many failed races for the head.
constexpr int kMaxRaces = 200;
// Payload up to which what is free already is taken without a look at what has come back: of larger
// slices the one used last is worth more than a look.
constexpr std::uint32_t kMaxUnlooked = 8 * 1024;
// Of a list shared with a plain peer so much is left free.
constexpr std::uint32_t kLeftShare = 8;

}  // namespace

std::uint32_t SliceList::Geometry::area() const noexcept { return header + kListHeaderBytes; }
std::uint32_t SliceList::Geometry::stride() const noexcept { return payload + kSliceHeaderBytes; }
std::uint64_t SliceList::Geometry::end() const noexcept {
  return std::uint64_t{header} + Bytes(payload, capacity);
}

std::uint64_t SliceList::Bytes(std::uint32_t payload, std::uint32_t capacity) noexcept {
  return kListHeaderBytes + std::uint64_t{capacity} * (std::uint64_t{payload} + kSliceHeaderBytes);
}

void SliceList::Initialise(std::byte* region, const Geometry& geometry,
                           std::uint32_t linked) noexcept {
  std::byte* header = region + geometry.header;
  StoreRelaxed<std::int32_t>(header + kListSize, static_cast<std::int32_t>(linked));
  StoreRelaxed<std::uint32_t>(header + kListCapacity, geometry.capacity);
  StoreRelaxed<std::uint32_t>(header + kListHead, 0);
  StoreRelaxed<std::uint32_t>(header + kListTail, (linked - 1) * geometry.stride());
  StoreRelaxed<std::uint32_t>(header + kListPayload, geometry.payload);
  for (std::uint32_t i = 0; i < linked; i++) {
    std::byte* slice = region + geometry.area() + std::size_t{i} * geometry.stride();
    StoreRelaxed<std::uint32_t>(slice + kSliceCapacity, geometry.payload);
    if (i + 1 == linked) continue;
    StoreRelaxed<std::uint32_t>(slice + kSliceNext, (i + 1) * geometry.stride());
    StoreRelaxed<std::uint8_t>(slice + kSliceFlags, kFlagHasNext);
  }
}

SliceList::SliceList(std::byte* region, const Geometry& geometry)
    : region_(region),
      geometry_(geometry),
      states_(geometry.capacity, State::kElsewhere),
      tenures_(geometry.capacity) {}

void SliceList::BeginShared(std::uint32_t linked, std::uint32_t wanted, bool creator) {
  role_ = ListRole::kShared;
  creator_ = creator;
  for (std::uint32_t i = linked; creator && i < wanted; i++) {
    StoreRelaxed<std::uint32_t>(Slice(i) + kSliceCapacity, geometry_.payload);
    Append(i);
  }
  touched_ = wanted;
  // Not the capacity: a client of ours links a part of it.
  free_at_first_ = SharedFree();
  left_to_peer_ = free_at_first_ / kLeftShare;
}

void SliceList::Begin(ListRole role, std::uint32_t linked) {
  role_ = role;
  touched_ = linked;
  tail_ = linked - 1;
  if (role != ListRole::kOurs) return;
  stack_.reserve(geometry_.capacity);
  // As if lent and returned: Reclaim takes them all but the last, which a list always keeps so
  // that the peer has a tail to append to.
  for (std::uint32_t i = 0; i < linked; i++) states_[i] = State::kLent;
  lent_ = linked;
  allocated_ = linked - 1;
}

SliceList::Outcome SliceList::Allocate(std::uint32_t& offset) {
  std::uint32_t index = 0;
  if (role_ == ListRole::kShared) {
    const Outcome outcome = TakeShared(index);
    if (outcome != Outcome::kOk) return outcome;
  } else {
    if (role_ == ListRole::kPeers) return Outcome::kEmpty;
    // First what has just come back, which is in the cache; what was free before stays cold. To
    // look for it takes a cache line from the peer: not while there is some from the last look.
    if (fresh_ == 0 && Reclaim() == Outcome::kCorrupt) return Outcome::kCorrupt;
    if (!stack_.empty()) {
      if (fresh_ > 0) fresh_--;
      index = stack_.back();
      stack_.pop_back();
      if (states_[index] == State::kPunched) {
        punched_--;
        StoreRelaxed<std::uint32_t>(Slice(index) + kSliceCapacity, geometry_.payload);
      }
    } else if (touched_ < geometry_.capacity) {
      index = touched_++;
      StoreRelaxed<std::uint32_t>(Slice(index) + kSliceCapacity, geometry_.payload);
    } else {
      return Outcome::kEmpty;
    }
  }
  Enter(index, State::kHeld);
  tenures_[index].stream = 0;
  held_++;
  allocated_++;
  offset = geometry_.area() + Relative(index);
  return Outcome::kOk;
}

void SliceList::MarkLent(std::uint32_t offset, std::uint32_t stream) noexcept {
  SetStream(offset, stream);
  const std::uint32_t index = (offset - geometry_.area()) / geometry_.stride();
  held_--;
  if (role_ == ListRole::kShared) {
    // Either side may take it from the list next: whose it is cannot be known from here.
    Enter(index, State::kElsewhere);
    freed_++;
    return;
  }
  Enter(index, State::kLent);
  lent_++;
}

void SliceList::SetStream(std::uint32_t offset, std::uint32_t stream) noexcept {
  tenures_[(offset - geometry_.area()) / geometry_.stride()].stream = stream;
  if (role_ != ListRole::kOurs) return;
  std::byte* slice = region_ + offset;
  StoreRelaxed<std::uint8_t>(slice + kSliceStream, static_cast<std::uint8_t>(stream));
  StoreRelaxed<std::uint16_t>(slice + kSliceStreamHigh, static_cast<std::uint16_t>(stream >> 8));
}

bool SliceList::Free(std::uint32_t offset) {
  const auto index = IndexOf(offset - geometry_.area());
  if (!index) return false;
  State& state = states_[*index];
  if (state == State::kBorrowed) {
    state = State::kElsewhere;
    borrowed_--;
    Append(*index);
    return true;
  }
  if (state != State::kHeld) return false;
  held_--;
  freed_++;
  if (role_ == ListRole::kShared) {
    state = State::kElsewhere;
    Append(*index);
  } else {
    Enter(*index, State::kFree);
    stack_.push_back(*index);
  }
  return true;
}

std::uint32_t SliceList::SharedFree() const noexcept {
  const auto size = LoadRelaxed<std::int32_t>(Header() + kListSize);
  return size > 0 ? static_cast<std::uint32_t>(size) : 0;
}

std::uint32_t SliceList::WithPeer() const noexcept {
  const std::uint64_t here = std::uint64_t{SharedFree()} + held_ + borrowed_;
  return here < free_at_first_ ? free_at_first_ - static_cast<std::uint32_t>(here) : 0;
}

bool SliceList::Contains(std::uint32_t offset) const noexcept {
  return offset >= geometry_.area() && offset < geometry_.end();
}

SliceList::Outcome SliceList::Reclaim() {
  bool any = false;
  // Bounded: a cycle made by the peer runs into a slice that is not lent.
  for (std::uint32_t i = 0; i < geometry_.capacity; i++) {
    std::byte* slice = Slice(head_);
    // Acquire, pairs with the release in Link: `next` and the peer's last reads of the payload are
    // done before the flag says so.
    const auto flags = LoadAcquire<std::uint8_t>(slice + kSliceFlags);
    if ((flags & kFlagHasNext) == 0) break;
    const auto next = IndexOf(LoadRelaxed<std::uint32_t>(slice + kSliceNext));
    if (!next || *next == head_ || states_[head_] != State::kLent ||
        states_[*next] != State::kLent) {
      return Outcome::kCorrupt;
    }
    Enter(head_, State::kFree);
    stack_.push_back(head_);
    if (geometry_.payload <= kMaxUnlooked) fresh_++;
    lent_--;
    freed_++;
    head_ = *next;
    any = true;
  }
  if (!any) return Outcome::kEmpty;
  StoreRelaxed<std::uint32_t>(Header() + kListHead, Relative(head_));
  StoreRelaxed<std::int32_t>(Header() + kListSize, 1);
  return Outcome::kOk;
}

std::byte* SliceList::Slice(std::uint32_t index) const noexcept {
  return region_ + geometry_.area() + std::size_t{index} * geometry_.stride();
}

std::optional<std::uint32_t> SliceList::IndexOf(std::uint32_t relative) const noexcept {
  const std::uint32_t index = relative / geometry_.stride();
  if (index >= geometry_.capacity || relative % geometry_.stride() != 0) return std::nullopt;
  return index;
}

// shmipc's pop, for peers that allocate from the same list. The counters order nothing: whoever
// takes a slice learns of its last life from the head and from the flags.
SliceList::Outcome SliceList::TakeShared(std::uint32_t& index) {
  std::byte* header = Header();
  if (AddFetchRelaxed<std::int32_t>(header + kListSize, -1) <= 0) {
    AddFetchRelaxed<std::int32_t>(header + kListSize, 1);
    return Outcome::kEmpty;
  }
  for (int race = 0; race < kMaxRaces; race++) {
    // Acquire, pairs with the release of whoever moved the head: his knowledge of this slice is ours,
    // and so flags of an earlier life are not read.
    auto head = LoadAcquire<std::uint32_t>(header + kListHead);
    const auto candidate = IndexOf(head);
    if (!candidate) return Outcome::kCorrupt;
    std::byte* slice = Slice(*candidate);
    // Acquire, pairs with the release in Link.
    const auto flags = LoadAcquire<std::uint8_t>(slice + kSliceFlags);
    if ((flags & kFlagHasNext) != 0) {
      const auto next = LoadRelaxed<std::uint32_t>(slice + kSliceNext);
      // Judged only when the head is won: who loses it may have read what the peer, who took the
      // slice, wrote there since, such as the next slice of a message.
      const bool linked = IndexOf(next).has_value();
      // Release, pairs with the acquire of the head above.
      if (!CompareExchangeRelease<std::uint32_t>(header + kListHead, head, linked ? next : head)) {
        continue;
      }
      // A link that leads astray, or a slice that both ends took: the ABA race of this layout.
      // Nothing in the region can be trusted.
      if (!linked || states_[*candidate] != State::kElsewhere) return Outcome::kCorrupt;
      StoreRelaxed<std::uint8_t>(slice + kSliceFlags, kFlagInUse);
      CountTaken(1);
      index = *candidate;
      return Outcome::kOk;
    }
    if (LoadRelaxed<std::int32_t>(header + kListSize) <= 1) break;
  }
  AddFetchRelaxed<std::int32_t>(header + kListSize, 1);
  return Outcome::kEmpty;
}

void SliceList::Append(std::uint32_t index) noexcept {
  std::byte* slice = Slice(index);
  StoreRelaxed<std::uint32_t>(slice + kSliceSize, 0);
  StoreRelaxed<std::uint32_t>(slice + kSliceStart, 0);
  // Relaxed: nobody looks before the slice is the tail, or linked.
  StoreRelaxed<std::uint8_t>(slice + kSliceFlags, 0);
  if (role_ == ListRole::kPeers) {
    // We are the only one who appends: no race for the tail, and nobody else reads it.
    StoreRelaxed<std::uint32_t>(Header() + kListTail, Relative(index));
    Link(tail_, index);
    tail_ = index;
    return;
  }
  auto tail = LoadRelaxed<std::uint32_t>(Header() + kListTail);
  // Acquires and releases: who links the next slice to this one vouches for it to whoever takes it.
  while (!CompareExchange<std::uint32_t>(Header() + kListTail, tail, Relative(index))) {
  }
  // A tail outside the list is the peer's forgery: the slice is then lost with the region.
  if (const auto previous = IndexOf(tail)) Link(*previous, index);
  AddFetchRelaxed<std::int32_t>(Header() + kListSize, 1);
  CountTaken(-1);
}

// Each side writes its own word.
void SliceList::CountTaken(std::int32_t change) noexcept {
  std::byte* word = Header() + (creator_ ? kListCreatorTaken : kListMapperTaken);
  // Unsigned: the peer may have put any number there.
  const auto taken = LoadRelaxed<std::uint32_t>(word) + static_cast<std::uint32_t>(change);
  StoreRelaxed<std::uint32_t>(word, taken);
}

void SliceList::Link(std::uint32_t previous, std::uint32_t next) noexcept {
  std::byte* slice = Slice(previous);
  StoreRelaxed<std::uint32_t>(slice + kSliceNext, Relative(next));
  // Release, pairs with the acquire in Reclaim and TakeShared: `next` is there before the flag.
  StoreRelease<std::uint8_t>(slice + kSliceFlags, kFlagHasNext);
}

}  // namespace shm
