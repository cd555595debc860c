#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "truncation_guard.h"

namespace shm {

// A file descriptor that closes itself.
class UniqueFd {
 public:
  UniqueFd() noexcept = default;
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd();

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  // Hands the descriptor to the caller.
  int Release() noexcept;

 private:
  int fd_ = -1;
};

// A memfd and its mapping. Unmapped and closed when the last owner lets go.
class Mapping {
 public:
  // A sealed memfd of `bytes` zero bytes: nobody can shrink it under a reader (SIGBUS) or grow it.
  // nullptr with `error` set when the kernel refuses.
  static std::shared_ptr<Mapping> Create(const std::string& name, std::size_t bytes,
                                         std::string& error);
  // Maps a memfd the peer sent. `require_seals` demands what Create applies; memory without them can
  // be truncated by the peer while we read it, and is guarded: see `truncated`. Refuses sizes
  // outside [min, max] bytes.
  static std::shared_ptr<Mapping> Adopt(UniqueFd fd, std::size_t min_bytes, std::size_t max_bytes,
                                        bool require_seals, std::string& error);

  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();

  std::span<std::byte> bytes() const noexcept { return bytes_; }
  // Gives the memory of a range back to the system: it reads as zeros and costs nothing until it is
  // written. False when the kernel refuses; nothing has changed then.
  [[nodiscard]] bool Punch(std::size_t offset, std::size_t bytes) const noexcept;
  int fd() const noexcept { return fd_.get(); }
  // Nobody can cut it off.
  bool sealed() const noexcept { return guard_ == nullptr; }
  // The peer cut off memory we have touched since: what was read there is not what the peer wrote.
  bool truncated() const noexcept { return guard_ != nullptr && guard_->tripped(); }
  // Bytes of it that take memory now.
  std::uint64_t ResidentBytes() const noexcept;

 private:
  Mapping(UniqueFd fd, std::span<std::byte> bytes) noexcept;
  static std::shared_ptr<Mapping> Map(UniqueFd fd, std::size_t bytes, std::string& error);

  UniqueFd fd_;
  std::span<std::byte> bytes_;
  std::unique_ptr<TruncationGuard> guard_;
};

}  // namespace shm
