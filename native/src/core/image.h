#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace shm {

// Shared memory looked at from outside: a memfd of another process, or a copy of one in a file.
//
// Read with pread(2): that maps nothing, takes no page of a sparse file, cannot fault when the file
// is truncated under it, and gives each word once.
//
// Ownership  A view of the descriptor, opened for reading only.
class Image {
 public:
  Image(int fd, std::uint64_t base, std::uint64_t bytes) noexcept
      : fd_(fd), base_(base), bytes_(bytes) {}

  std::uint64_t bytes() const noexcept { return bytes_; }
  // Fills `out` from `offset`, which is relative to the image. False when that is not all there.
  [[nodiscard]] bool Read(std::uint64_t offset, std::span<std::byte> out) const noexcept;
  // The first offset at or behind `offset` that is not in a hole; bytes() when there is none.
  std::uint64_t NextData(std::uint64_t offset) const noexcept;

 private:
  int fd_;
  std::uint64_t base_;  // of the image in the file
  std::uint64_t bytes_;
};

// Writes an image of a session's memory into a file that is sparse where it is not written: all of
// it, or everything but payloads.
class ImageCopy {
 public:
  ImageCopy(const Image& from, int to, std::uint64_t base) noexcept
      : from_(from), to_(to), base_(base) {}

  // False with error() set when either file fails.
  [[nodiscard]] bool All();
  // Headers of the region, of its lists and of their slices, and the trailer.
  [[nodiscard]] bool Headers();
  const std::string& error() const noexcept { return error_; }

 private:
  bool Range(std::uint64_t offset, std::uint64_t bytes);

  const Image& from_;
  int to_;
  std::uint64_t base_;
  std::string error_;
};

}  // namespace shm
