#include "misdeeds.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstddef>

#include "check.h"
#include "core/atomics.h"

namespace shm::test {
namespace {

using namespace layout;

constexpr std::size_t kPage = 4096;

std::uint32_t Below(std::mt19937& random, std::uint32_t bound) {
  return static_cast<std::uint32_t>(random()) % bound;
}

}  // namespace

void Misdeeds::Any(std::mt19937& random) {
  const auto below = [&random](std::uint32_t bound) { return Below(random, bound); };
  const auto& lists = victim_.region().lists();
  const auto& geometry = lists[below(static_cast<std::uint32_t>(lists.size()))].geometry();
  const std::uint32_t slice = geometry.area() + below(geometry.capacity) * geometry.stride();
  const std::uint32_t other = geometry.area() + below(geometry.capacity) * geometry.stride();
  const std::array<std::uint32_t, 5> values = {other, other - geometry.area(), below(5000),
                                               static_cast<std::uint32_t>(random()), 0xffffffff};
  const std::uint32_t value = values[below(5)];
  const Side side = below(2) == 0 ? Side::kClient : Side::kServer;
  switch (below(13)) {
    case 0:  // a link of a list or of a message
      pair_.SetWord(slice + kSliceNext, value);
      pair_.SetFlags(slice, static_cast<std::uint8_t>(below(4)));
      break;
    case 1:
      pair_.SetWord(slice + 4 * below(5), value);
      break;
    case 2:
      pair_.SetWord(geometry.header + 4 * below(9), value);
      break;
    case 3:
    case 4:  // any event about any slice
      Forge(slice, below(9));
      break;
    case 5:  // a cycle, sent or returned
      pair_.SetWord(slice + kSliceNext, below(2) == 0 ? other : other - geometry.area());
      pair_.SetFlags(slice, kFlagHasNext | kFlagInUse);
      pair_.SetWord(other + kSliceNext, below(2) == 0 ? slice : slice - geometry.area());
      pair_.SetFlags(other, kFlagHasNext | kFlagInUse);
      Forge(slice, below(2) == 0 ? 0 : 5);
      break;
    case 6:  // a counter, a flag, the capacity
      StoreRelaxed<std::uint32_t>(pair_.ring(side) + 4 * below(6), below(2) == 0 ? below(80) : value);
      break;
    case 7:  // an element
      StoreRelaxed<std::uint32_t>(
          pair_.ring(side) + kRingHeaderBytes + 4 * below(3 * victim_.send_queue().capacity()), value);
      break;
    case 8:
      if (below(8) == 0) Cut(random);
      break;
    case 9:  // a bit of any header
      FlipBit(slice + below(kSliceHeaderBytes), below(8));
      break;
    default:
      StoreRelaxed<std::uint8_t>(pair_.region() + random() % pair_.buffers->bytes().size(),
                                 static_cast<std::uint8_t>(below(256)));
      break;
  }
}

void Misdeeds::Forge(std::uint32_t offset, std::uint32_t status) {
  pair_.PushRaw(offset, status, peer_side_);
}

void Misdeeds::FlipBit(std::uint32_t offset, std::uint32_t bit) {
  std::byte* byte = pair_.region() + offset;
  StoreRelaxed<std::uint8_t>(byte, static_cast<std::uint8_t>(LoadRelaxed<std::uint8_t>(byte) ^ (1u << bit)));
}

void Misdeeds::Cut(std::mt19937& random) {
  const Mapping& mapping = Below(random, 4) == 0 ? *pair_.queues : *pair_.buffers;
  const auto pages = static_cast<std::uint32_t>(mapping.bytes().size() / kPage + 1);
  const auto at = static_cast<off_t>(Below(random, pages) * kPage);
  if (sealed_ || Below(random, 2) == 0) {
    fallocate(mapping.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, kPage);
  } else if (ftruncate(mapping.fd(), at) != 0) {
    throw CheckFailed("ftruncate");
  }
}

}  // namespace shm::test
