#include "image.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "inspect.h"
#include "layout.h"

namespace shm {

using namespace layout;

namespace {

constexpr std::uint64_t kBlockBytes = 4096;

bool IsZero(std::span<const std::byte> bytes) noexcept {
  return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

}  // namespace

bool Image::Read(std::uint64_t offset, std::span<std::byte> out) const noexcept {
  if (offset > bytes_ || out.size() > bytes_ - offset) return false;
  while (!out.empty()) {
    const ssize_t got = pread(fd_, out.data(), out.size(), static_cast<off_t>(base_ + offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    offset += static_cast<std::uint64_t>(got);
    out = out.subspan(static_cast<std::size_t>(got));
  }
  return true;
}

std::uint64_t Image::NextData(std::uint64_t offset) const noexcept {
  const off_t at = lseek(fd_, static_cast<off_t>(base_ + offset), SEEK_DATA);
  // A file system without holes has data everywhere.
  if (at < 0) return errno == ENXIO ? bytes_ : offset;
  return std::min(static_cast<std::uint64_t>(at) - base_, bytes_);
}

bool ImageCopy::All() {
  for (std::uint64_t at = from_.NextData(0); at < from_.bytes();) {
    const std::uint64_t bytes = std::min(kBlockBytes - at % kBlockBytes, from_.bytes() - at);
    if (!Range(at, bytes)) return false;
    at = from_.NextData(at + bytes);
  }
  return true;
}

bool ImageCopy::Headers() {
  std::string problem;
  const auto table = ReadListTable(from_, problem);
  std::uint64_t end = std::min<std::uint64_t>(kRegionHeaderBytes, from_.bytes());
  if (!Range(0, end)) return false;
  for (const SliceList::Geometry& list : table) {
    if (!Range(list.header, kListHeaderBytes)) return false;
    for (SliceCursor cursor(from_, list); cursor.Next();) {
      if (!Range(cursor.offset(), kSliceHeaderBytes)) return false;
    }
    end = list.end();
  }
  return Range(end, std::min<std::uint64_t>(kTrailerAlignment + kTrailerBytes,
                                            from_.bytes() - end));
}

bool ImageCopy::Range(std::uint64_t offset, std::uint64_t bytes) {
  std::array<std::byte, kBlockBytes> buffer{};
  const auto part = std::span(buffer).first(static_cast<std::size_t>(bytes));
  if (!from_.Read(offset, part)) {
    error_ = "the memory ends before byte " + std::to_string(offset + bytes);
    return false;
  }
  // A hole there as well.
  if (IsZero(part)) return true;
  const ssize_t written =
      pwrite(to_, part.data(), part.size(), static_cast<off_t>(base_ + offset));
  if (written == static_cast<ssize_t>(part.size())) return true;
  error_ = std::string("pwrite: ") + (written < 0 ? std::strerror(errno) : "the disk is full");
  return false;
}

}  // namespace shm
