#include "mapping.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace shm {
namespace {

constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW;

std::string Errno(const char* call) { return std::string(call) + ": " + std::strerror(errno); }

}  // namespace

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) close(fd_);
    fd_ = other.Release();
  }
  return *this;
}

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) close(fd_);
}

int UniqueFd::Release() noexcept { return std::exchange(fd_, -1); }

std::shared_ptr<Mapping> Mapping::Create(const std::string& name, std::size_t bytes,
                                         std::string& error) {
  UniqueFd fd(memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) {
    error = Errno("memfd_create");
    return nullptr;
  }
  if (ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) {
    error = Errno("ftruncate");
    return nullptr;
  }
  if (fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) {
    error = Errno("fcntl(F_ADD_SEALS)");
    return nullptr;
  }
  return Map(std::move(fd), bytes, error);
}

std::shared_ptr<Mapping> Mapping::Adopt(UniqueFd fd, std::size_t min_bytes, std::size_t max_bytes,
                                        bool require_seals, std::string& error) {
  // Only files in memory have seals. A file of another kind can stall whoever touches its pages.
  const int seals = fcntl(fd.get(), F_GET_SEALS);
  if (seals < 0) {
    error = "the peer's descriptor is not memory";
    return nullptr;
  }
  // Seals before size: once sealed, the size read next can no longer change.
  if (require_seals && (seals & kSeals) != kSeals) {
    error = "the peer's memory is not sealed against resizing";
    return nullptr;
  }
  if ((seals & F_SEAL_WRITE) != 0) {
    error = "the peer's memory is sealed against writing";
    return nullptr;
  }
  // Pages of another size can run out under a reader, sealed or not.
  struct statfs system {};
  if (fstatfs(fd.get(), &system) != 0 || system.f_type != TMPFS_MAGIC) {
    error = "the peer's memory is in huge pages";
    return nullptr;
  }
  struct stat status {};
  if (fstat(fd.get(), &status) != 0) {
    error = Errno("fstat");
    return nullptr;
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size < min_bytes || size > max_bytes) {
    error = "the peer's memory has " + std::to_string(size) + " bytes, outside [" +
            std::to_string(min_bytes) + ", " + std::to_string(max_bytes) + "]";
    return nullptr;
  }
  auto mapping = Map(std::move(fd), size, error);
  if (mapping && (seals & F_SEAL_SHRINK) == 0) {
    mapping->guard_ = TruncationGuard::Watch(mapping->bytes());
    if (!mapping->guard_) {
      error = "more than " + std::to_string(TruncationGuard::kMaxGuards) +
              " memories of peers that cannot seal them";
      return nullptr;
    }
  }
  return mapping;
}

std::shared_ptr<Mapping> Mapping::Map(UniqueFd fd, std::size_t bytes, std::string& error) {
  void* address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (address == MAP_FAILED) {
    error = Errno("mmap");
    return nullptr;
  }
  // A forked child must not keep the region alive or write into it.
  madvise(address, bytes, MADV_DONTFORK);
  return std::shared_ptr<Mapping>(
      new Mapping(std::move(fd), {static_cast<std::byte*>(address), bytes}));
}

Mapping::Mapping(UniqueFd fd, std::span<std::byte> bytes) noexcept
    : fd_(std::move(fd)), bytes_(bytes) {}

bool Mapping::Punch(std::size_t offset, std::size_t bytes) const noexcept {
  return fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                   static_cast<off_t>(offset), static_cast<off_t>(bytes)) == 0;
}

std::uint64_t Mapping::ResidentBytes() const noexcept {
  struct stat status {};
  constexpr std::uint64_t kBlockBytes = 512;
  return fstat(fd_.get(), &status) == 0 ? static_cast<std::uint64_t>(status.st_blocks) * kBlockBytes
                                        : 0;
}

Mapping::~Mapping() {
  guard_.reset();
  munmap(bytes_.data(), bytes_.size());
}

}  // namespace shm
