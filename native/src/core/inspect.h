#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "event_queue.h"
#include "image.h"
#include "slice_list.h"

// What a session's memory says about it, to somebody who is not its peer.
//
// The session may be running meanwhile, so counts are near the truth, not at it; or whoever wrote
// the memory may be hostile: each word is checked, each walk bounded, and what is wrong becomes a
// line in `problems`.
namespace shm {

enum class SliceState : std::uint8_t {
  kUnused,  // never linked nor allocated
  kFree,    // in the shared list
  kPooled,  // with who allocates: on its private stack, or allocated and not sent
  kQueued,  // in a message that waits in a ring
  kSent,    // in a message that was received and is not returned; or was lent
};
constexpr std::size_t kSliceStates = 5;

// The list table at the start of a buffer region, up to the first entry that cannot be; `problem`
// then says why.
std::vector<SliceList::Geometry> ReadListTable(const Image& buffers, std::string& problem);

// Passes over the slices of a list that were ever used, skipping holes.
class SliceCursor {
 public:
  struct Header {
    std::uint32_t payload;
    std::uint32_t bytes;
    std::uint32_t next;
    std::uint8_t flags;
    std::uint32_t stream;  // who holds it, low 24 bits; 0 when nobody said
  };

  SliceCursor(const Image& buffers, const SliceList::Geometry& list) noexcept
      : buffers_(buffers), list_(list) {}

  // False behind the last one.
  bool Next();
  std::uint32_t index() const noexcept { return index_; }
  std::uint64_t offset() const noexcept;
  const Header& header() const noexcept { return header_; }

 private:
  const Image& buffers_;
  const SliceList::Geometry& list_;
  std::uint32_t next_ = 0;
  std::uint32_t index_ = 0;
  Header header_{};
};

struct ListImage {
  std::uint32_t payload;
  std::uint32_t capacity;
  std::array<std::uint32_t, kSliceStates> slices;  // by state
};

struct RingImage {
  std::uint32_t capacity;
  std::int64_t backlog;
  bool consumer_awake;
  // What waits, by kind: Status, 7 for all that have no name.
  std::array<std::uint32_t, 8> events;
};

// Slices queued or sent, of one stream in one state.
struct HolderImage {
  std::uint32_t slices;
  std::uint64_t bytes;
};

struct MemoryImage {
  std::uint64_t epoch = 0;   // 0 without a trailer
  std::uint32_t budget = 0;  // payload bytes an end may use; 0 without a trailer
  std::vector<ListImage> lists;
  std::vector<RingImage> rings;  // client to server, server to client
  // Key: state, list, stream (0: unknown).
  struct Key {
    SliceState state;
    std::uint32_t list;
    std::uint32_t stream;
    auto operator<=>(const Key&) const = default;
  };
  std::map<Key, HolderImage> holders;
  std::vector<std::string> problems;  // at most kMaxProblems
  static constexpr std::size_t kMaxProblems = 16;
};

// `shmesh`: the client is, so that the region has a trailer.
MemoryImage InspectMemory(const Image& buffers, const Image& queues, bool shmesh);

}  // namespace shm
