#include "core/layout.h"

#include <array>
#include <cstring>
#include <span>

#include "check.h"
#include "core/event_queue.h"

namespace shm {
namespace {

using namespace layout;

template <typename Word>
Word WordAt(std::span<const std::byte> bytes, std::size_t offset) {
  Word word{};
  std::memcpy(&word, bytes.data() + offset, sizeof word);
  return word;
}

// The words tile the header, whatever their order.
constexpr bool Tiles(RingOffsets ring) {
  std::array<int, kRingHeaderBytes> used{};
  for (std::size_t i = 0; i < 4; i++) used[ring.capacity + i]++, used[ring.working + i]++;
  for (std::size_t i = 0; i < 8; i++) used[ring.head + i]++, used[ring.tail + i]++;
  for (const int times : used) {
    if (times != 1) return false;
  }
  return true;
}
static_assert(Tiles(kRingOfX64) && Tiles(kRingOfArm));
static_assert(kRingOfArm.head % 8 == 0 && kRingOfArm.tail % 8 == 0);

TEST(RingsAreLaidOutAsTheProcessorOfBothEndsAsks) {
  // What shmipc-go and shmipc-rs lay out on x86-64 and on arm64.
  CHECK_EQ(kRingOfX64.head, 4u);
  CHECK_EQ(kRingOfX64.tail, 12u);
  CHECK_EQ(kRingOfX64.working, 20u);
  CHECK_EQ(kRingOfArm.working, 4u);
  CHECK_EQ(kRingOfArm.head, 8u);
  CHECK_EQ(kRingOfArm.tail, 16u);

#if defined(__aarch64__) || defined(__arm__)
  constexpr RingOffsets kExpected = kRingOfArm;
#else
  constexpr RingOffsets kExpected = kRingOfX64;
#endif
  constexpr std::uint32_t kCapacity = 16;
  alignas(64) std::array<std::byte, 2 * (kRingHeaderBytes + kCapacity * kElementBytes)> bytes{};
  EventQueue::InitialiseRegion(bytes, kCapacity);
  const std::span half = std::span(bytes).first(bytes.size() / 2);
  EventQueue queue = EventQueue::Map(half).value();
  for (std::uint32_t i = 0; i < 3; i++) CHECK(queue.TryPush({7, 0x1234, 1}));
  queue.Advance();
  queue.MarkAwake();

  CHECK_EQ(WordAt<std::uint32_t>(bytes, kExpected.capacity), kCapacity);
  CHECK_EQ(WordAt<std::uint32_t>(bytes, kExpected.working), 1u);
  CHECK_EQ(WordAt<std::int64_t>(bytes, kExpected.head), 1);
  CHECK_EQ(WordAt<std::int64_t>(bytes, kExpected.tail), 3);
  // Elements are 12 bytes on either.
  const auto element = std::span(bytes).subspan(kRingHeaderBytes + 2 * kElementBytes);
  CHECK_EQ(WordAt<std::uint32_t>(element, 0), 7u);
  CHECK_EQ(WordAt<std::uint32_t>(element, 4), 0x1234u);
  CHECK_EQ(WordAt<std::uint32_t>(element, 8), 1u);
}

}  // namespace
}  // namespace shm
