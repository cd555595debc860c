#pragma once

#include <cstddef>
#include <cstdint>

// Where every word of shared memory lives. The only file with an offset.
// docs/internals/memory-layout.md draws it. Integers are in host order.
namespace shm::layout {

// Queue region: two rings, client -> server first, each a header and `capacity` elements.
constexpr std::size_t kRingHeaderBytes = 24;
// Both ends follow the processor they were built for; nothing on the wire tells which.
struct RingOffsets {
  std::size_t capacity;  // u32, elements
  std::size_t working;   // u32: 0 while the consumer sleeps
  std::size_t head;      // i64: next to read; written by the consumer
  std::size_t tail;      // i64: next to write; written by the producer
};
constexpr RingOffsets kRingOfX64{.capacity = 0, .working = 20, .head = 4, .tail = 12};
constexpr RingOffsets kRingOfArm{.capacity = 0, .working = 4, .head = 8, .tail = 16};
#if defined(__aarch64__) || defined(__arm__)
constexpr RingOffsets kRing = kRingOfArm;
#else
constexpr RingOffsets kRing = kRingOfX64;
#endif
constexpr std::size_t kRingCapacity = kRing.capacity;
constexpr std::size_t kRingWorking = kRing.working;
constexpr std::size_t kRingHead = kRing.head;
constexpr std::size_t kRingTail = kRing.tail;
// Another value than 0 and 1 only between two shmesh ends: awake, and waiting for events.
constexpr std::uint32_t kRingLooking = 2;
constexpr std::size_t kElementBytes = 12;
constexpr std::size_t kElementStream = 0;  // u32
constexpr std::size_t kElementOffset = 4;  // u32: first slice header, from the region's start
constexpr std::size_t kElementStatus = 8;  // u32: low byte

// Buffer region: a header and lists of equal slices.
constexpr std::size_t kRegionHeaderBytes = 8;
constexpr std::size_t kRegionLists = 0;  // u16
constexpr std::size_t kRegionUsed = 4;   // u32: bytes of all lists, this header excluded

constexpr std::size_t kListHeaderBytes = 36;
constexpr std::size_t kListSize = 0;          // i32: free slices
constexpr std::size_t kListCapacity = 4;      // u32: slices
constexpr std::size_t kListHead = 8;          // u32: first free slice, from the slice area
constexpr std::size_t kListTail = 12;         // u32: last free slice, from the slice area
constexpr std::size_t kListPayload = 16;      // u32: payload bytes of a slice
constexpr std::size_t kListCreatorTaken = 20;  // i32: pops less pushes by the creator (client)
constexpr std::size_t kListMapperTaken = 24;   // i32: the same by the mapper (server)

constexpr std::size_t kSliceHeaderBytes = 20;
constexpr std::size_t kSliceCapacity = 0;  // u32: payload bytes; constant
constexpr std::size_t kSliceSize = 4;      // u32: valid bytes
constexpr std::size_t kSliceStart = 8;     // u32: first valid byte of the payload
constexpr std::size_t kSliceNext = 12;     // u32: free: from the slice area; in a message: absolute
constexpr std::size_t kSliceFlags = 16;    // u8
constexpr std::size_t kSliceStream = 17;    // u8 and u16: low 24 bits of the stream that carried
constexpr std::size_t kSliceStreamHigh = 18;  // it last, for whoever looks at a dump; shmesh only
constexpr std::uint8_t kFlagHasNext = 1;
constexpr std::uint8_t kFlagInUse = 2;

// Behind the lists, at the next multiple of 8, in regions of shmesh clients.
constexpr std::size_t kTrailerBytes = 16;
constexpr std::size_t kTrailerAlignment = 8;
constexpr std::size_t kTrailerEpoch = 0;   // u64: random, never 0; constant
constexpr std::size_t kTrailerBudget = 8;  // u32: payload bytes either end may have allocated

}  // namespace shm::layout
