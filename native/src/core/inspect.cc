#include "inspect.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "buffer_region.h"
#include "layout.h"
#include "session.h"

namespace shm {

using namespace layout;

namespace {

// Streams told apart in each list and state; what the others hold is added up under stream 0.
constexpr std::size_t kMaxHolders = 1024;
constexpr std::size_t kOtherEvents = 7;

template <typename T>
T Word(std::span<const std::byte> bytes, std::size_t offset) noexcept {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

std::string Number(std::uint64_t number) { return std::to_string(number); }

// One list while it is looked at.
struct List {
  SliceList::Geometry geometry;
  std::vector<SliceState> states;
  std::vector<std::uint32_t> streams;  // of those queued or sent
  std::vector<std::uint32_t> bytes;    // the same

  std::optional<std::uint32_t> IndexOf(std::uint64_t offset) const noexcept {
    if (offset < geometry.area() || offset >= geometry.end()) return std::nullopt;
    const std::uint64_t relative = offset - geometry.area();
    if (relative % geometry.stride() != 0) return std::nullopt;
    return static_cast<std::uint32_t>(relative / geometry.stride());
  }
};

std::optional<SliceCursor::Header> ReadSlice(const Image& buffers, std::uint64_t offset) noexcept {
  std::array<std::byte, kSliceHeaderBytes> bytes{};
  if (!buffers.Read(offset, bytes)) return std::nullopt;
  // The holder's stream fills the rest of the flags' word.
  const auto flags = Word<std::uint32_t>(bytes, kSliceFlags);
  return SliceCursor::Header{Word<std::uint32_t>(bytes, kSliceCapacity),
                             Word<std::uint32_t>(bytes, kSliceSize),
                             Word<std::uint32_t>(bytes, kSliceNext),
                             static_cast<std::uint8_t>(flags), flags >> 8};
}

class Inspection {
 public:
  Inspection(const Image& buffers, const Image& queues) : buffers_(buffers), queues_(queues) {}

  MemoryImage Run(bool shmesh) {
    std::string problem;
    for (const SliceList::Geometry& geometry : ReadListTable(buffers_, problem)) {
      lists_.push_back({geometry, {}, {}, {}});
    }
    if (!problem.empty()) Problem(problem);
    if (shmesh) ReadTrailer();
    for (std::size_t i = 0; i < lists_.size(); i++) ReadList(i);
    for (std::size_t i = 0; i < 2; i++) ReadRing(i);
    Count();
    return std::move(image_);
  }

 private:
  void Problem(std::string problem) {
    if (image_.problems.size() < MemoryImage::kMaxProblems) {
      image_.problems.push_back(std::move(problem));
    }
  }

  void ReadTrailer() {
    if (lists_.empty()) return;
    const std::uint64_t end = lists_.back().geometry.end();
    const std::uint64_t at = (end + kTrailerAlignment - 1) / kTrailerAlignment * kTrailerAlignment;
    std::array<std::byte, kTrailerBytes> trailer{};
    if (!buffers_.Read(at, trailer)) return Problem("there is no trailer behind the lists");
    image_.epoch = Word<std::uint64_t>(trailer, kTrailerEpoch);
    image_.budget = Word<std::uint32_t>(trailer, kTrailerBudget);
    if (image_.epoch == 0) Problem("the trailer's epoch is 0: the memory was overwritten or punched");
  }

  void ReadList(std::size_t number) {
    List& list = lists_[number];
    const std::string name = "list " + Number(number);
    list.states.assign(list.geometry.capacity, SliceState::kUnused);
    list.streams.assign(list.geometry.capacity, 0);
    list.bytes.assign(list.geometry.capacity, 0);
    for (SliceCursor cursor(buffers_, list.geometry); cursor.Next();) {
      const auto& header = cursor.header();
      const std::uint32_t i = cursor.index();
      if (header.payload != list.geometry.payload) {
        Problem(name + ": slice " + Number(i) + " claims a payload of " + Number(header.payload));
      }
      list.states[i] =
          (header.flags & kFlagInUse) != 0 ? SliceState::kSent : SliceState::kPooled;
      list.streams[i] = header.stream;
      list.bytes[i] = std::min(header.bytes, list.geometry.payload);
    }
    WalkFree(list, name);
  }

  void WalkFree(List& list, const std::string& name) {
    std::array<std::byte, kListHeaderBytes> header{};
    if (!buffers_.Read(list.geometry.header, header)) return;
    auto relative = Word<std::uint32_t>(header, kListHead);
    // Bounded: no slice twice.
    for (;;) {
      const auto i = list.IndexOf(std::uint64_t{list.geometry.area()} + relative);
      if (!i) return Problem(name + ": its free list leads to " + Number(relative) + ", no slice");
      if (list.states[*i] == SliceState::kFree) {
        return Problem(name + ": its free list comes back to slice " + Number(*i));
      }
      list.states[*i] = SliceState::kFree;
      const auto slice = ReadSlice(buffers_, std::uint64_t{list.geometry.area()} + relative);
      if (!slice || (slice->flags & kFlagHasNext) == 0) return;
      relative = slice->next;
    }
  }

  void ReadRing(std::size_t number) {
    const std::string name = "ring " + Number(number);
    const std::uint64_t half = queues_.bytes() / 2;
    const std::uint64_t at = number * half;
    std::array<std::byte, kRingHeaderBytes> header{};
    if (half < kRingHeaderBytes || !queues_.Read(at, header)) {
      return Problem(name + ": the queue region has only " + Number(queues_.bytes()) + " bytes");
    }
    RingImage ring{};
    ring.capacity = Word<std::uint32_t>(header, kRingCapacity);
    ring.consumer_awake = Word<std::uint32_t>(header, kRingWorking) != 0;
    const auto head = Word<std::uint64_t>(header, kRingHead);
    const std::uint64_t used = Word<std::uint64_t>(header, kRingTail) - head;
    if (ring.capacity == 0 || (half - kRingHeaderBytes) / kElementBytes < ring.capacity) {
      Problem(name + ": a capacity of " + Number(ring.capacity) + " does not fit");
    } else if (used > ring.capacity) {
      Problem(name + ": its counters hold what no producer could have written");
    } else {
      ring.backlog = static_cast<std::int64_t>(used);
      for (std::uint64_t i = 0; i < used; i++) {
        const std::uint64_t slot = (head + i) % ring.capacity;
        ReadEvent(at + kRingHeaderBytes + slot * kElementBytes, name, ring);
      }
    }
    image_.rings.push_back(ring);
  }

  void ReadEvent(std::uint64_t at, const std::string& ring_name, RingImage& ring) {
    std::array<std::byte, kElementBytes> element{};
    if (!queues_.Read(at, element)) return;
    const auto status = Word<std::uint32_t>(element, kElementStatus) & 0xff;
    ring.events[std::min<std::size_t>(status, kOtherEvents)]++;
    if (status != static_cast<std::uint32_t>(Status::kData) &&
        status != static_cast<std::uint32_t>(Status::kLend)) {
      return;
    }
    const auto stream = Word<std::uint32_t>(element, kElementStream);
    std::uint32_t offset = Word<std::uint32_t>(element, kElementOffset);
    for (std::uint32_t i = 0; i < BufferRegion::kMaxChain; i++) {
      std::optional<std::uint32_t> index;
      const auto list = std::ranges::find_if(
          lists_, [&](const List& each) { return (index = each.IndexOf(offset)).has_value(); });
      if (list == lists_.end()) {
        return Problem(ring_name + ": stream " + Number(stream) + " has a message at " +
                       Number(offset) + ", no slice");
      }
      list->states[*index] = SliceState::kQueued;
      list->streams[*index] = stream;
      const auto slice = ReadSlice(buffers_, offset);
      if (!slice || (slice->flags & kFlagHasNext) == 0) return;
      offset = slice->next;
    }
    Problem(ring_name + ": a message of stream " + Number(stream) + " does not end");
  }

  void Count() {
    for (std::uint32_t number = 0; number < lists_.size(); number++) {
      const List& list = lists_[number];
      ListImage counted{list.geometry.payload, list.geometry.capacity, {}};
      for (std::uint32_t i = 0; i < list.geometry.capacity; i++) {
        const SliceState state = list.states[i];
        counted.slices[static_cast<std::size_t>(state)]++;
        if (state != SliceState::kQueued && state != SliceState::kSent) continue;
        MemoryImage::Key key{state, number, list.streams[i]};
        if (image_.holders.size() >= kMaxHolders && !image_.holders.contains(key)) key.stream = 0;
        HolderImage& holder = image_.holders[key];
        holder.slices++;
        holder.bytes += list.bytes[i];
      }
      image_.lists.push_back(counted);
    }
  }

  const Image& buffers_;
  const Image& queues_;
  std::vector<List> lists_;
  MemoryImage image_;
};

}  // namespace

std::vector<SliceList::Geometry> ReadListTable(const Image& buffers, std::string& problem) {
  std::vector<SliceList::Geometry> lists;
  std::array<std::byte, kRegionHeaderBytes> header{};
  if (!buffers.Read(0, header)) {
    problem = "the buffer region has only " + Number(buffers.bytes()) + " bytes";
    return lists;
  }
  const auto count = Word<std::uint16_t>(header, kRegionLists);
  std::uint64_t at = kRegionHeaderBytes;
  std::uint64_t slices = 0;
  for (std::uint32_t i = 0; i < count; i++) {
    std::array<std::byte, kListHeaderBytes> bytes{};
    if (i == BufferRegion::kMaxLists || !buffers.Read(at, bytes)) {
      problem = "the region says it has " + Number(count) + " lists; there are " + Number(i);
      return lists;
    }
    const SliceList::Geometry list{static_cast<std::uint32_t>(at),
                                   Word<std::uint32_t>(bytes, kListPayload),
                                   Word<std::uint32_t>(bytes, kListCapacity)};
    slices += list.capacity;
    if (list.payload == 0 || list.payload > UINT32_MAX - kSliceHeaderBytes || list.capacity == 0 ||
        list.end() > buffers.bytes() || list.end() > UINT32_MAX ||
        slices > BufferRegion::kMaxSlices) {
      problem = "list " + Number(i) + ": " + Number(list.capacity) + " slices of " +
                Number(list.payload) + " bytes do not fit";
      return lists;
    }
    lists.push_back(list);
    at = list.end();
  }
  if (count == 0) problem = "the region has no lists";
  return lists;
}

std::uint64_t SliceCursor::offset() const noexcept {
  return list_.area() + std::uint64_t{index_} * list_.stride();
}

bool SliceCursor::Next() {
  while (next_ < list_.capacity) {
    index_ = next_;
    const auto header = ReadSlice(buffers_, offset());
    if (!header) return false;
    const bool zero = header->payload == 0 && header->bytes == 0 && header->next == 0 &&
                      header->flags == 0 && header->stream == 0;
    if (!zero) {
      next_++;
      header_ = *header;
      return true;
    }
    // Perhaps in a hole: on to the first slice whose header has data.
    const std::uint64_t data = buffers_.NextData(offset() + kSliceHeaderBytes);
    const std::uint64_t first = list_.area() + kSliceHeaderBytes;
    const std::uint64_t index = data < first ? 0 : (data - first) / list_.stride();
    next_ = static_cast<std::uint32_t>(
        std::clamp<std::uint64_t>(index, std::uint64_t{next_} + 1, list_.capacity));
  }
  return false;
}

MemoryImage InspectMemory(const Image& buffers, const Image& queues, bool shmesh) {
  return Inspection(buffers, queues).Run(shmesh);
}

}  // namespace shm
