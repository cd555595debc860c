#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace shm {

// Survives the truncation of memory that is mapped here and not sealed: touching what was cut off
// raises SIGBUS, which would end the process. While a guard lives, such a fault inside its mapping
// puts zeroed private pages there instead, from the page that was touched to the mapping's end, and
// marks the guard. Every other SIGBUS goes to the handler that was there before, unchanged.
//
// Ownership  Must be destroyed before its mapping is unmapped.
// Threads    Any. The handler is in place while at least one guard lives.
class TruncationGuard {
 public:
  static constexpr std::size_t kMaxGuards = 1024;

  // `mapping` starts at a page. nullptr when kMaxGuards live already.
  static std::unique_ptr<TruncationGuard> Watch(std::span<std::byte> mapping);

  TruncationGuard(const TruncationGuard&) = delete;
  TruncationGuard& operator=(const TruncationGuard&) = delete;
  ~TruncationGuard();

  // Something was cut off: what is read from the mapping may be ours instead of the peer's.
  bool tripped() const noexcept;

 private:
  explicit TruncationGuard(std::size_t slot) noexcept : slot_(slot) {}

  std::size_t slot_;
};

}  // namespace shm
