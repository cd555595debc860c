#pragma once

#include <cstdint>

#include "layout.h"

namespace shm {

// A slice of ours and the bytes it is to carry.
struct SliceSpan {
  std::uint32_t slice;  // header offset, the slice's name in Free
  std::uint32_t bytes;
  std::uint32_t payload() const noexcept {
    return slice + static_cast<std::uint32_t>(layout::kSliceHeaderBytes);
  }
  bool operator==(const SliceSpan&) const noexcept = default;
};

// A slice of a received message as it lies in memory.
struct ReceivedSlice {
  std::uint32_t slice;    // header offset
  std::uint32_t payload;  // offset of the first valid byte
  std::uint32_t bytes;
};

}  // namespace shm
