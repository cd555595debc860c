#include "session.h"

#include <algorithm>
#include <utility>

namespace shm {
namespace {

// Slices one Trim takes: it runs between others' work.
constexpr std::size_t kMaxTrimmed = 2048;

std::string At(const char* what, std::uint32_t offset) {
  return std::string(what) + ", at offset " + std::to_string(offset);
}

std::span<std::byte> Half(const SessionParts& parts, bool first) {
  const auto bytes = parts.queues->bytes();
  return first ? bytes.first(bytes.size() / 2) : bytes.subspan(bytes.size() / 2);
}

}  // namespace

bool Session::Check(const SessionParts& parts, std::string& error) {
  if (!EventQueue::Map(Half(parts, true)) || !EventQueue::Map(Half(parts, false))) {
    error = "the queue region does not hold two rings whose capacity is a multiple of " +
            std::to_string(EventQueue::kCapacityMultiple);
    return false;
  }
  auto region = BufferRegion::Map(parts.buffers->bytes(), error);
  // On a server it only reads.
  return region && region->Begin(parts.side, parts.discipline, error);
}

std::unique_ptr<Session> Session::Open(SessionParts parts, std::string& error) {
  auto first = EventQueue::Map(Half(parts, true));
  auto second = EventQueue::Map(Half(parts, false));
  if (!first || !second) {
    error = "the queue region does not hold two rings";
    return nullptr;
  }
  auto region = BufferRegion::Map(parts.buffers->bytes(), error);
  if (!region || !region->Begin(parts.side, parts.discipline, error)) return nullptr;
  const bool client = parts.side == Side::kClient;
  return std::unique_ptr<Session>(new Session(std::move(parts), std::move(*region),
                                              client ? *first : *second,
                                              client ? *second : *first));
}

Session::Session(SessionParts parts, BufferRegion region, EventQueue send, EventQueue receive)
    : parts_(std::move(parts)), region_(std::move(region)), send_(send), receive_(receive) {
  if (parts_.writer) parts_.writer->Join();
}

Session::~Session() {
  if (parts_.writer) parts_.writer->Leave();
}

std::int64_t Session::Allocate(std::uint32_t bytes, std::vector<SliceSpan>& spans) {
  if (truncated()) return Corrupt({});
  const std::int64_t covered = region_.Allocate(bytes, spans);
  if (covered < 0) return Corrupt(BadList());
  if (covered < bytes) counters_.allocation_failures++;
  return covered;
}

bool Session::Send(std::uint32_t stream, std::span<const SliceSpan> spans) {
  if (!send_.HasRoom()) return Refuse();
  if (Push({stream, region_.Seal(spans, stream), static_cast<std::uint32_t>(Status::kData)})) return true;
  // Only we push: room that is gone was taken by the peer.
  Corrupt("the peer moved a counter of the ring back");
  return false;
}

std::uint32_t Session::Hold(std::uint32_t bytes, std::uint64_t most) {
  std::uint32_t slice = 0;
  switch (region_.Hold(bytes, slice, most)) {
    case SliceList::Outcome::kOk:
      return slice;
    case SliceList::Outcome::kCorrupt:
      Corrupt(BadList());
      return 0;
    case SliceList::Outcome::kEmpty:
      break;
  }
  counters_.allocation_failures++;
  return 0;
}

Sent Session::SendHeld(std::uint32_t stream, Status status, std::span<const SliceSpan> spans) {
  const bool lend = status == Status::kLend;
  if (!(lend ? region_.Lendable(spans) : region_.Sendable(spans))) return Sent::kMisused;
  if (!lend) return Send(stream, spans) ? Sent::kYes : Sent::kRingFull;
  if (region_.LentTooOften(spans[0].slice)) return Sent::kRingFull;
  if (!send_.HasRoom()) {
    Refuse();
    return Sent::kRingFull;
  }
  if (Push({stream, region_.Lend(spans, stream), static_cast<std::uint32_t>(status)})) return Sent::kYes;
  Corrupt("the peer moved a counter of the ring back");
  return Sent::kRingFull;
}

bool Session::Signal(std::uint32_t stream, Status status, std::uint32_t value) {
  return Push({stream, value, static_cast<std::uint32_t>(status)});
}

bool Session::Push(const Event& event) {
  if (!send_.TryPush(event)) return Refuse();
  counters_.events_sent++;
  wake_due_ = true;
  return true;
}

bool Session::Refuse() {
  counters_.ring_full++;
  if (send_.overwritten()) Corrupt("a counter of the ring was overwritten");
  return false;
}

std::int64_t Session::Drain(std::span<std::uint32_t> words) {
  if (corrupt()) return -1;
  if (!region_.Intact()) return Corrupt("the session's memory was overwritten or punched");
  // After what was read above: zeros there may be the guard's.
  if (truncated()) return Corrupt({});
  std::size_t used = 0;
  std::size_t payload = 0;
  Event event{};
  // A message may take MaxEventWords: stop while one more certainly fits.
  while (words.size() - used >= MaxEventWords() && payload < kDrainBytes) {
    const PopResult result = receive_.Peek(event);
    if (result == PopResult::kCorrupt) return Corrupt("a counter of the ring was overwritten");
    if (result == PopResult::kEmpty) break;
    const std::uint32_t status = event.status & 0xff;
    chain_.clear();
    if (!Accept(event, status)) return -1;
    receive_.Advance();
    // Whoever answers has mapped the files.
    parts_.files.clear();
    counters_.events_received++;
    words[used++] = event.stream_id;
    words[used++] = status;
    words[used++] = event.offset;
    words[used++] = static_cast<std::uint32_t>(chain_.size());
    for (const ReceivedSlice& slice : chain_) {
      words[used++] = slice.slice;
      words[used++] = slice.payload;
      words[used++] = slice.bytes;
      payload += slice.bytes;
    }
  }
  counters_.bytes_received += payload;
  if (truncated()) return Corrupt({});
  return static_cast<std::int64_t>(used);
}

// What an event does to the memory; `chain_` receives its slices.
bool Session::Accept(const Event& event, std::uint32_t status) {
  const std::uint32_t offset = event.offset;
  const bool owned = parts_.discipline == Discipline::kOwned;
  const auto last = static_cast<std::uint32_t>(owned ? Status::kLendDone : Status::kClose);
  if (status > last) {
    Corrupt("event with unknown status " + std::to_string(status));
    return false;
  }
  switch (static_cast<Status>(status)) {
    case Status::kData:
      if (!region_.Receive(offset, chain_, event.stream_id)) Corrupt(At(region_.refusal(), offset));
      break;
    case Status::kLend:
      if (!region_.ReceiveLend(offset, chain_, event.stream_id)) {
        Corrupt(At(region_.refusal(), offset));
      }
      break;
    case Status::kLendDone:
      if (!region_.EndLend(offset)) Corrupt(At("end of a lend that is not outstanding", offset));
      break;
    default:
      break;
  }
  return !corrupt();
}

bool Session::WakePeer() {
  wake_due_ = false;
  peer_looks_ = send_.consumer_looking();
  if (!send_.ClaimWakeUp()) {
    counters_.wakes_suppressed++;
    return false;
  }
  counters_.wakes_sent++;
  if (!parts_.wake_peer) return true;
  const int fd = parts_.wake_peer.get();
  if (!parts_.writer) {
    WriteWakeUp(fd);
  } else if (!parts_.writer->Write(fd)) {
    Corrupt("the peer filled the counter it is woken by");
  }
  return false;
}

void Session::AcknowledgeWakeUp() noexcept {
  if (TakeWakeUp(parts_.wake_us.get())) counters_.wakes_received++;
}

bool Session::Reclaim() {
  if (region_.Reclaim()) return true;
  Corrupt(BadList());
  return false;
}

bool Session::CheckIntact() {
  if (truncated()) Corrupt({});
  return !corrupt();
}

bool Session::truncated() const noexcept {
  return parts_.buffers->truncated() || parts_.queues->truncated();
}

void Session::SetTime(std::uint32_t now) noexcept {
  if (now == now_) return;
  now_ = now;
  region_.SetTime(now);
}

bool Session::Trim() {
  if (corrupt() || !Reclaim()) return false;
  std::vector<MemoryRange> pages;
  region_.TakeIdle(kIdleMs, kMaxTrimmed, pages);
  for (const MemoryRange& range : pages) {
    if (parts_.buffers->Punch(range.offset, range.bytes)) counters_.punched_bytes += range.bytes;
  }
  return region_.HasIdle();
}

std::vector<SliceHolder> Session::Holders(std::size_t most) {
  if (!Reclaim()) return {};
  std::vector<SliceHolder> holders;
  for (const SliceList& list : region_.lists()) {
    const auto more = list.Holders();
    holders.insert(holders.end(), more.begin(), more.end());
  }
  most = std::min(most, holders.size());
  std::ranges::partial_sort(holders, holders.begin() + static_cast<std::ptrdiff_t>(most),
                            std::ranges::greater{}, &SliceHolder::age_ms);
  holders.resize(most);
  return holders;
}

// What makes a list give nothing more.
const char* Session::BadList() const noexcept {
  return parts_.discipline == Discipline::kOwned
             ? "the peer returned a slice it was not lent"
             : "a list of free slices was overwritten, or has a slice that is in use";
}

std::int64_t Session::Corrupt(std::string error) {
  // Zeros in its place are no fault of what was written there.
  if (error_.empty()) error_ = truncated() ? "the peer truncated its memory" : std::move(error);
  return -1;
}

}  // namespace shm
