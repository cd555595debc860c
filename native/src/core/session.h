#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "buffer_region.h"
#include "event_queue.h"
#include "handshake.h"

namespace shm {

// Low byte of an event's status. Above kClose only between two shmesh ends.
enum class Status : std::uint32_t {
  kData = 0,      // offset: the first slice of a message
  kClose = 1,     // shmipc's end of a stream, both directions at once
  kFin = 2,       // the sender writes no more
  kReset = 3,     // both directions end, unread bytes are lost
  kCredit = 4,    // offset: bytes the sender may send again
  kLend = 5,      // offset: the first slice of a message that stays the sender's
  kLendDone = 6,  // offset: the first slice of a message lent to the sender, who has released it all
};

enum class Sent : std::uint8_t {
  kYes,
  kRingFull,  // or too many lends of one chain: nothing has changed
  kMisused,   // the slices are not the caller's to send
};

// Both directions of an established session, in the memory both ends share. Knows neither event
// loop nor streams.
//
// Threads    One.
// Trust      Once `corrupt`, because of what some call found in the memory, Drain answers with a
//            failure and the owner must destroy the session.
class Session {
 public:
  // Whether memory the peer sent holds what a session needs.
  static bool Check(const SessionParts& parts, std::string& error);
  static std::unique_ptr<Session> Open(SessionParts parts, std::string& error);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Takes slices for up to `bytes`. See BufferRegion::Allocate.
  std::int64_t Allocate(std::uint32_t bytes, std::vector<SliceSpan>& spans);
  // One slice of at least `bytes`, by its header offset; 0 when none is to be had, or when more
  // payload bytes than `most` would be in use then.
  std::uint32_t Hold(std::uint32_t bytes, std::uint64_t most = UINT64_MAX);
  // Publishes a message of allocated slices. False when the ring is full, the slices stay ours; or
  // when `corrupt`.
  [[nodiscard]] bool Send(std::uint32_t stream, std::span<const SliceSpan> spans);
  // Publishes a message of held slices: gives them away (kData), or lets the peer read them (kLend),
  // after which they are ours again when as many kLendDone have come back.
  [[nodiscard]] Sent SendHeld(std::uint32_t stream, Status status,
                              std::span<const SliceSpan> spans);
  // Publishes an event without slices. False when the ring is full, or when `corrupt`.
  [[nodiscard]] bool Signal(std::uint32_t stream, Status status, std::uint32_t value);
  // Gives one slice back, or one borrow of a slice lent to us. False when it was not ours to give:
  // the caller's mistake, not the peer's.
  [[nodiscard]] bool Release(std::uint32_t slice) { return region_.Free(slice); }

  // Moves arrived events to `words` until the ring is empty, `words` is full, or messages of
  // kDrainBytes are among them, which shall have been read before there are more:
  //   stream, status, value, slices, then for each slice: header offset, payload offset, bytes
  // Returns the words written, or -1 when corrupt.
  std::int64_t Drain(std::span<std::uint32_t> words);
  // Words one message may take at most.
  std::size_t MaxEventWords() const noexcept { return 4 + 3 * std::size_t{region_.max_chain()}; }

  // After publishing: wakes the peer if it sleeps. Returns whether a plain shmipc peer must be sent
  // a Polling message instead. The session may be corrupt then.
  bool WakePeer();
  bool wake_due() const noexcept { return wake_due_; }
  // Whether the peer waited for events without sleeping when WakePeer was called; asked once.
  bool TakePeerLooks() noexcept { return std::exchange(peer_looks_, false); }
  // Before waiting for events without sleeping. Only between two shmesh ends.
  void MarkLooking() noexcept { receive_.MarkLooking(); }
  // Before sleeping. False when more has arrived.
  bool TrySleep() noexcept { return receive_.TrySleep(); }
  void MarkAwake() noexcept { receive_.MarkAwake(); }
  // Clears the eventfd that woke us.
  void AcknowledgeWakeUp() noexcept;
  bool Reclaim();
  // Whether what was read from the memory until now is what the peer put there, and not what took
  // the place of memory it cut off. Always, of sealed memory. If not, the session is corrupt.
  bool CheckIntact();
  // The time, in ms of any clock, of all that happens until the next call.
  void SetTime(std::uint32_t now) noexcept;
  // Gives memory of slices that have been free for kIdleMs back to the system. Returns whether there
  // may be more to give later.
  bool Trim();
  bool HasIdle() const noexcept { return region_.HasIdle(); }
  static constexpr std::uint32_t kIdleMs = 2000;
  static constexpr std::size_t kDrainBytes = 1 << 20;
  // The slices somebody has, at most `most`, those longest with their holder first.
  std::vector<SliceHolder> Holders(std::size_t most);

  SessionParts& parts() noexcept { return parts_; }
  const BufferRegion& region() const noexcept { return region_; }
  const EventQueue& send_queue() const noexcept { return send_; }
  const EventQueue& receive_queue() const noexcept { return receive_; }
  bool corrupt() const noexcept { return !error_.empty(); }
  const std::string& error() const noexcept { return error_; }

  struct Counters {
    std::uint64_t wakes_sent = 0;
    std::uint64_t wakes_suppressed = 0;
    std::uint64_t wakes_received = 0;
    std::uint64_t events_sent = 0;
    std::uint64_t events_received = 0;
    std::uint64_t bytes_received = 0;
    std::uint64_t allocation_failures = 0;
    std::uint64_t ring_full = 0;
    std::uint64_t punched_bytes = 0;
  };
  const Counters& counters() const noexcept { return counters_; }

 private:
  Session(SessionParts parts, BufferRegion region, EventQueue send, EventQueue receive);
  std::int64_t Corrupt(std::string error);
  const char* BadList() const noexcept;
  bool truncated() const noexcept;
  bool Accept(const Event& event, std::uint32_t status);
  bool Push(const Event& event);
  bool Refuse();

  SessionParts parts_;
  BufferRegion region_;
  EventQueue send_;
  EventQueue receive_;
  std::vector<ReceivedSlice> chain_;  // of the event being drained
  std::uint32_t now_ = 0;
  bool wake_due_ = false;
  bool peer_looks_ = false;
  Counters counters_;
  std::string error_;
};

}  // namespace shm
