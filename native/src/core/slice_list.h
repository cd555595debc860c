#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace shm {

// Who allocates from a list.
enum class ListRole : std::uint8_t {
  kOurs,    // we allocate, the peer returns
  kPeers,   // the peer allocates, we return
  kShared,  // both allocate and both return: shmipc's rule, against peers that are not shmesh
};

// One slice somebody has.
struct SliceHolder {
  enum class State : std::uint8_t { kHeld, kLentOut, kSent, kBorrowed, kOnLoan };
  std::uint32_t slice;    // header offset
  std::uint32_t payload;  // bytes
  State state;
  std::uint32_t stream;  // 0 while allocated and not sent
  std::uint32_t age_ms;
};

struct MemoryRange {
  std::size_t offset;
  std::size_t bytes;
};

// One free list: `capacity` slices of equal payload in memory shared with the peer.
//
// Between two shmesh ends one process allocates from a list (docs/internals/memory-layout.md):
// shmipc's lock-free pop is open to ABA when both do. The shared list is then only the way back: the
// peer appends at the tail, we take from the head, and what we take goes to a private stack, so that
// the slice used last, which is in the cache, is used next.
//
// Threads    One per side.
// Trust      Every word read is checked against the private state of the slice it names; a check
//            that fails answers kCorrupt and the caller retires the whole region.
class SliceList {
 public:
  struct Geometry {
    std::uint32_t header;    // offset of the list header in the region
    std::uint32_t payload;   // bytes of a slice's payload
    std::uint32_t capacity;  // slices
    std::uint32_t area() const noexcept;
    std::uint32_t stride() const noexcept;
    std::uint64_t end() const noexcept;
  };

  enum class Outcome : std::uint8_t { kOk, kEmpty, kCorrupt };

  // Bytes a list takes in the region.
  static std::uint64_t Bytes(std::uint32_t payload, std::uint32_t capacity) noexcept;
  // Writes a list into zeroed memory and links its first `linked` slices. The creator calls it.
  static void Initialise(std::byte* region, const Geometry& geometry,
                         std::uint32_t linked) noexcept;

  SliceList(std::byte* region, const Geometry& geometry);

  // One of these chooses the rule, once, before any other call. `linked` slices are in the shared
  // list. Under shmipc's rule its creator links more before the peer can look, up to `wanted`.
  void Begin(ListRole role, std::uint32_t linked);
  void BeginShared(std::uint32_t linked, std::uint32_t wanted, bool creator);

  // Takes one free slice. `offset` is its header's, from the start of the region.
  Outcome Allocate(std::uint32_t& offset);
  // The slice goes to the peer with an event: it will come back through the shared list.
  void MarkLent(std::uint32_t offset, std::uint32_t stream = 0) noexcept;
  // Whether it is allocated, not sent and not pinned.
  bool Holds(std::uint32_t offset) const noexcept;
  // A held slice that may be neither freed nor sent until Unpin: lends of it are outstanding.
  void Pin(std::uint32_t offset) noexcept;
  void SetStream(std::uint32_t offset, std::uint32_t stream) noexcept;
  void Unpin(std::uint32_t offset) noexcept;
  // The peer sent this slice. False when it may not: not on a stride, ours, or already borrowed.
  [[nodiscard]] bool Borrow(std::uint32_t offset, std::uint32_t stream = 0) noexcept;
  // The peer lent this slice, it stays the peer's. False when it may not, as for Borrow.
  [[nodiscard]] bool BeginLoan(std::uint32_t offset, std::uint32_t stream) noexcept;
  void EndLoan(std::uint32_t offset) noexcept;
  bool OnLoan(std::uint32_t offset) const noexcept;
  // Gives back a slice we allocated but did not send, or one we borrowed.
  [[nodiscard]] bool Free(std::uint32_t offset);

  bool Contains(std::uint32_t offset) const noexcept;
  const Geometry& geometry() const noexcept { return geometry_; }
  ListRole role() const noexcept { return role_; }
  // At all times allocated = freed + held + lent, for lists we allocate from.
  std::uint64_t allocated() const noexcept { return allocated_; }
  std::uint64_t freed() const noexcept { return freed_; }
  // Not counting the one returned slice that the list keeps.
  std::uint32_t lent() const noexcept { return role_ == ListRole::kOurs ? lent_ - 1 : lent_; }
  // Pinned ones too.
  std::uint32_t held() const noexcept { return held_; }
  // Those on loan too.
  std::uint32_t borrowed() const noexcept { return borrowed_; }
  std::uint32_t touched() const noexcept { return touched_; }

  // Shared: no more of it is free than should be left to the peer, as far as the list itself says.
  bool RunsShort() const noexcept { return SharedFree() <= left_to_peer_; }

  // Shared: of what was free when it began neither free nor with us: what the peer was sent and has
  // not returned, or has taken itself. As far as the list itself says.
  std::uint32_t WithPeer() const noexcept;

  // Takes back what the peer has returned. kEmpty when that is nothing.
  Outcome Reclaim();

  // The time, in ms of any clock, of all that happens until the next call.
  void SetTime(std::uint32_t now) noexcept { now_ = now; }
  // Who has slices, and since when. Of what the peer has returned, Reclaim must have heard.
  std::vector<SliceHolder> Holders() const;

  // Payload bytes of free slices whose memory may be given back to the system.
  std::uint64_t idle_bytes() const noexcept;
  // Marks up to `most` slices as given back, free for `idle_ms` at least, and appends where whole
  // pages of them are, which the caller punches out before anything else is allocated.
  void TakeIdle(std::uint32_t idle_ms, std::size_t most, std::vector<MemoryRange>& pages);

 private:
  // kPunched: free, and its memory was given back.
  enum class State : std::uint8_t {
    kElsewhere,
    kFree,
    kPunched,
    kHeld,
    kPinned,
    kLent,
    kBorrowed,
    kOnLoan,
  };
  struct Tenure {
    std::uint32_t since;
    std::uint32_t stream;
  };

  std::byte* Header() const noexcept { return region_ + geometry_.header; }
  std::byte* Slice(std::uint32_t index) const noexcept;
  std::uint32_t Relative(std::uint32_t index) const noexcept { return index * geometry_.stride(); }
  std::optional<std::uint32_t> IndexOf(std::uint32_t relative) const noexcept;
  // `offset` names a slice of this list.
  State& StateOf(std::uint32_t offset) noexcept;
  bool Is(State state, std::uint32_t offset) const noexcept;
  bool Receive(std::uint32_t offset, State as, std::uint32_t stream) noexcept;
  void Enter(std::uint32_t index, State state) noexcept {
    states_[index] = state;
    tenures_[index].since = now_;
  }
  std::uint32_t SharedFree() const noexcept;
  Outcome TakeShared(std::uint32_t& index);
  void Append(std::uint32_t index) noexcept;
  void CountTaken(std::int32_t change) noexcept;
  void Link(std::uint32_t previous, std::uint32_t next) noexcept;

  std::byte* region_;
  Geometry geometry_;
  ListRole role_ = ListRole::kShared;
  bool creator_ = true;
  std::uint32_t left_to_peer_ = 0;    // kShared
  std::uint32_t free_at_first_ = 0;   // kShared
  std::vector<State> states_;
  std::vector<Tenure> tenures_;       // of the present state of each slice
  std::vector<std::uint32_t> stack_;  // kOurs: free slices, the hottest last
  std::uint32_t fresh_ = 0;           // kOurs: of the stack's last, came back at the last looks
  std::size_t punched_ = 0;           // kOurs: as many at the stack's cold end are kPunched
  std::optional<std::uint32_t> kept_punched_;  // head_ when its payload was given back
  std::uint32_t touched_ = 0;         // kOurs: slices [touched_, capacity) were never used
  std::uint32_t head_ = 0;            // kOurs: index of the shared list's first slice
  std::uint32_t tail_ = 0;            // kPeers: index of the shared list's last slice
  std::uint64_t allocated_ = 0;
  std::uint64_t freed_ = 0;
  std::uint32_t lent_ = 0;
  std::uint32_t held_ = 0;
  std::uint32_t borrowed_ = 0;
  std::uint32_t now_ = 0;
};

}  // namespace shm
