// Memory of slices that nobody has needed for a while.
#include <algorithm>

#include "buffer_region.h"
#include "layout.h"
#include "slice_list.h"

namespace shm {

namespace {

constexpr std::size_t kPage = 4096;
// The payload of the slice a list keeps is worth a system call of its own from here on.
constexpr std::uint32_t kMinKept = 64 * 1024;
// Free memory a session keeps in each direction, so that a little traffic costs no page faults.
constexpr std::uint64_t kKeptBytes = 256 * 1024;

// The whole pages of [begin, end). On systems with larger pages the kernel clears the rest, which is
// as unused.
void AppendPages(std::size_t begin, std::size_t end, std::vector<MemoryRange>& pages) {
  begin = (begin + kPage - 1) / kPage * kPage;
  end = end / kPage * kPage;
  if (begin < end) pages.push_back({begin, end - begin});
}

}  // namespace

std::uint64_t SliceList::idle_bytes() const noexcept {
  return std::uint64_t{stack_.size() - punched_} * geometry_.payload;
}

void SliceList::TakeIdle(std::uint32_t idle_ms, std::size_t most,
                         std::vector<MemoryRange>& pages) {
  // Its header is in use, its payload was read by the peer before it came back.
  if (role_ == ListRole::kOurs && geometry_.payload >= kMinKept && kept_punched_ != head_ &&
      now_ - tenures_[head_].since >= idle_ms) {
    const std::size_t header = geometry_.area() + Relative(head_);
    AppendPages(header + layout::kSliceHeaderBytes, header + geometry_.stride(), pages);
    kept_punched_ = head_;
  }
  // A stack: the longer free the further down.
  const std::size_t first = punched_;
  while (punched_ < stack_.size() && punched_ - first < most &&
         now_ - tenures_[stack_[punched_]].since >= idle_ms) {
    states_[stack_[punched_++]] = State::kPunched;
  }
  std::vector<std::uint32_t> taken(stack_.begin() + static_cast<std::ptrdiff_t>(first),
                                   stack_.begin() + static_cast<std::ptrdiff_t>(punched_));
  std::ranges::sort(taken);
  for (std::size_t i = 0; i < taken.size();) {
    std::uint32_t begin = taken[i];
    std::uint32_t end = begin;
    // With one neighbour on each side that was given back earlier: the page they share goes too.
    if (begin > 0 && states_[begin - 1] == State::kPunched) begin--;
    for (; i < taken.size() && taken[i] == end; i++) end++;
    if (end < geometry_.capacity && states_[end] == State::kPunched) end++;
    AppendPages(geometry_.area() + Relative(begin),
                geometry_.area() + std::size_t{end} * geometry_.stride(), pages);
  }
}

std::uint64_t BufferRegion::IdleBytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const auto& list : lists_) bytes += list.idle_bytes();
  return bytes;
}

bool BufferRegion::HasIdle() const noexcept {
  // What is with the peer comes back without a word.
  return IdleBytes() + (budget_ < kMaxMemory ? charged_ : 0) > kKeptBytes;
}

void BufferRegion::TakeIdle(std::uint32_t idle_ms, std::size_t most,
                            std::vector<MemoryRange>& pages) {
  for (auto list = lists_.rbegin(); list != lists_.rend() && most > 0; ++list) {
    const std::uint64_t idle = IdleBytes();
    if (idle <= kKeptBytes) return;
    const std::uint32_t payload = list->geometry().payload;
    const std::uint64_t before = list->idle_bytes();
    list->TakeIdle(idle_ms, std::min<std::uint64_t>(most, (idle - kKeptBytes - 1) / payload + 1),
                   pages);
    most -= (before - list->idle_bytes()) / payload;
  }
}

}  // namespace shm
