// Messages as chains of slices: given away, lent, received.
#include <algorithm>

#include "atomics.h"
#include "buffer_region.h"

namespace shm {

using namespace layout;

namespace {

constexpr const char* kBadChain = "event with a slice chain the peer may not send";

}  // namespace

bool BufferRegion::Sendable(std::span<const SliceSpan> spans) noexcept {
  if (spans.empty() || spans.size() > kMaxChain) return false;
  // Pinned while we look, so that a slice named twice is found.
  std::size_t good = 0;
  for (const SliceSpan& span : spans) {
    SliceList* list = Find(span.slice);
    if (list == nullptr || !list->Holds(span.slice) || span.bytes > list->geometry().payload) break;
    list->Pin(span.slice);
    good++;
  }
  for (const SliceSpan& span : spans.first(good)) Find(span.slice)->Unpin(span.slice);
  return good == spans.size();
}

std::uint32_t BufferRegion::Seal(std::span<const SliceSpan> spans,
                                 std::uint32_t stream) noexcept {
  Write(spans);
  for (const SliceSpan& span : spans) Find(span.slice)->MarkLent(span.slice, stream);
  return spans[0].slice;
}

bool BufferRegion::Lendable(std::span<const SliceSpan> spans) noexcept {
  if (discipline_ != Discipline::kOwned) return false;
  return Sendable(spans) || (!spans.empty() && outgoing_.Matches(spans));
}

std::uint32_t BufferRegion::Lend(std::span<const SliceSpan> spans, std::uint32_t stream) {
  // A chain that is lent already stays as it was written: the peer may be reading it.
  if (!outgoing_.Contains(spans[0].slice)) {
    Write(spans);
    for (const SliceSpan& span : spans) {
      SliceList* list = Find(span.slice);
      list->Pin(span.slice);
      list->SetStream(span.slice, stream);
    }
  }
  outgoing_.Add(spans);
  return spans[0].slice;
}

bool BufferRegion::EndLend(std::uint32_t first) {
  const auto over = outgoing_.End(first);
  if (!over) return false;
  for (const SliceSpan& span : *over) {
    Find(span.slice)->Unpin(span.slice);
    // Nobody reads it any more; whoever looks at the memory from outside should see that.
    StoreRelaxed<std::uint8_t>(region_.data() + span.slice + kSliceFlags, 0);
  }
  return true;
}

void BufferRegion::Write(std::span<const SliceSpan> spans) noexcept {
  for (std::size_t i = 0; i < spans.size(); i++) {
    std::byte* slice = region_.data() + spans[i].slice;
    const bool last = i + 1 == spans.size();
    StoreRelaxed<std::uint32_t>(slice + kSliceSize, spans[i].bytes);
    StoreRelaxed<std::uint32_t>(slice + kSliceStart, 0);
    StoreRelaxed<std::uint32_t>(slice + kSliceNext, last ? 0 : spans[i + 1].slice);
    StoreRelaxed<std::uint8_t>(
        slice + kSliceFlags,
        static_cast<std::uint8_t>(last ? kFlagInUse : kFlagInUse | kFlagHasNext));
  }
}

bool BufferRegion::Receive(std::uint32_t offset, std::vector<ReceivedSlice>& slices,
                           std::uint32_t stream) {
  return Walk(offset, false, stream, slices);
}

bool BufferRegion::ReceiveLend(std::uint32_t offset, std::vector<ReceivedSlice>& slices,
                               std::uint32_t stream) {
  if (const auto* known = incoming_.Find(offset)) {
    slices = *known;
    return incoming_.BorrowAgain(offset) || Refuse("lend of a chain lent too often");
  }
  if (!Walk(offset, true, stream, slices)) return false;
  incoming_.Add(slices);
  return true;
}

bool BufferRegion::Walk(std::uint32_t offset, bool lend, std::uint32_t stream,
                        std::vector<ReceivedSlice>& slices) {
  const std::uint32_t most = max_chain();
  // Bounded by the private state as well: a slice seen twice is already borrowed.
  for (;;) {
    if (slices.size() == most) return Refuse("event with more slices than a message may have");
    SliceList* list = Find(offset);
    if (list == nullptr) return Refuse(kBadChain);
    if (list->OnLoan(offset)) {
      return Refuse(lend ? "lend of a chain that runs into another one on loan"
                         : "data in a slice on loan");
    }
    if (!(lend ? list->BeginLoan(offset, stream) : list->Borrow(offset, stream))) {
      return Refuse(lend ? "lend of a slice the peer may not lend" : kBadChain);
    }
    const std::byte* slice = region_.data() + offset;
    const std::uint32_t payload = list->geometry().payload;
    const auto bytes = LoadRelaxed<std::uint32_t>(slice + kSliceSize);
    const auto start = LoadRelaxed<std::uint32_t>(slice + kSliceStart);
    const auto flags = LoadRelaxed<std::uint8_t>(slice + kSliceFlags);
    const auto next = LoadRelaxed<std::uint32_t>(slice + kSliceNext);
    slices.push_back({offset, 0, 0});
    if (bytes > payload || start > payload - bytes) return Refuse(kBadChain);
    slices.back().payload =
        offset + static_cast<std::uint32_t>(kSliceHeaderBytes) + start;
    slices.back().bytes = bytes;
    if ((flags & kFlagHasNext) == 0) return true;
    offset = next;
  }
}

bool BufferRegion::Refuse(const char* why) noexcept {
  refusal_ = why;
  return false;
}

}  // namespace shm
