#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace shm {

// "Stream `stream_id` has something at `offset`."
struct Event {
  std::uint32_t stream_id;
  std::uint32_t offset;  // a slice header, bytes from the start of the buffer region; or a number
  std::uint32_t status;
};

enum class PopResult : std::uint8_t {
  kEvent,
  kEmpty,
  kCorrupt,  // a counter holds a value no producer could have written
};

// A bounded ring of events in memory shared with one peer process.
//
// Ownership  A view. The mapping it was made from must outlive it.
// Threads    One producer thread and one consumer thread, in any two processes.
// Errors     Nothing throws. A full or empty ring is an answer, not an error.
// Trust      The peer can write anything at any time: every value is read once and checked.
class EventQueue {
 public:
  // 16 elements are 192 bytes, three cache lines: the second ring then starts 24 bytes into a line,
  // and none of the four counters straddles a boundary.
  static constexpr std::uint32_t kCapacityMultiple = 16;

  // Bytes of a region with two rings of `capacity` elements.
  static std::size_t RegionBytes(std::uint32_t capacity) noexcept;
  // Writes the two capacities into zeroed memory. The creator (client) calls it.
  static void InitialiseRegion(std::span<std::byte> region, std::uint32_t capacity) noexcept;

  // Returns nullopt when `ring` does not hold a queue with a usable capacity, or lies where its
  // counters would not be indivisible.
  [[nodiscard]] static std::optional<EventQueue> Map(std::span<std::byte> ring) noexcept;

  // False when the ring is full. The producer then comes back later; it does not spin.
  [[nodiscard]] bool HasRoom() const noexcept;
  [[nodiscard]] bool TryPush(const Event& event) noexcept;
  // Fills `event` only when the result is kEvent. The event stays in the ring until Advance.
  [[nodiscard]] PopResult Peek(Event& event) const noexcept;
  void Advance() noexcept;

  // Producer, after pushing. True when the consumer sleeps and this caller must wake it.
  [[nodiscard]] bool ClaimWakeUp() noexcept;
  // Consumer, before sleeping. False when something arrived meanwhile: the ring must be drained
  // again, and the flag is set so that no producer wakes us for it.
  [[nodiscard]] bool TrySleep() noexcept;
  // Consumer, when it begins to work without having been woken.
  void MarkAwake() noexcept;
  // Consumer, while awake: it waits for events without sleeping, so an answer may come at once.
  void MarkLooking() noexcept;

  // Events in the ring; 0 when overwritten.
  std::int64_t Backlog() const noexcept;
  // Whether who pushes need not wake who pops.
  bool consumer_awake() const noexcept;
  // Whether the consumer waited without sleeping when it waited last. A hint: any value may be old.
  bool consumer_looking() const noexcept;
  // The counters hold values no peer could have written: such a ring looks full for ever.
  bool overwritten() const noexcept;
  std::uint32_t capacity() const noexcept { return static_cast<std::uint32_t>(capacity_); }

 private:
  EventQueue(std::span<std::byte> ring, std::uint32_t capacity) noexcept;
  std::byte* Slot(std::uint64_t position) const noexcept;
  std::uint64_t Used() const noexcept;

  std::byte* ring_;
  std::uint64_t capacity_;  // read once, so the peer cannot change it under us
};

}  // namespace shm
