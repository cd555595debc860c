#include "memory_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace shm {
namespace {

std::string Errno(const std::string& path) { return path + ": " + std::strerror(errno); }

}  // namespace

std::shared_ptr<Mapping> CreateMemoryFile(const std::string& path, std::size_t bytes,
                                          std::size_t expected, std::string& error) {
  UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) {
    error = Errno(path);
    return nullptr;
  }
  // Until it is known to be good.
  FileName name(path);
  struct statvfs system {};
  if (fstatvfs(fd.get(), &system) != 0) {
    error = Errno(path);
    return nullptr;
  }
  // Touching what the file system cannot hold would be a fault.
  if (std::uint64_t{system.f_bavail} * system.f_frsize < expected) {
    error = path + ": the file system has fewer than " + std::to_string(expected) + " bytes left";
    return nullptr;
  }
  // The mode was subject to the umask of whoever started us.
  if (fchmod(fd.get(), 0600) != 0 || ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) {
    error = Errno(path);
    return nullptr;
  }
  auto mapping = Mapping::Adopt(std::move(fd), bytes, bytes, false, error);
  if (mapping) name.Keep();
  return mapping;
}

UniqueFd OpenMemoryFile(const std::string& path, std::optional<uid_t> owner, std::string& error) {
  // Not blocked by a pipe, and not led elsewhere by a link.
  UniqueFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  if (!fd) {
    error = Errno(path);
    return {};
  }
  struct stat status {};
  if (fstat(fd.get(), &status) != 0) {
    error = Errno(path);
    return {};
  }
  if (!S_ISREG(status.st_mode)) {
    error = path + " is not a file";
    return {};
  }
  if (status.st_uid != owner.value_or(geteuid())) {
    error = path + " belongs to user " + std::to_string(status.st_uid) + ", not to the client";
    return {};
  }
  return fd;
}

void FileName::Keep() noexcept { path_.clear(); }

FileName::~FileName() {
  if (!path_.empty()) unlink(path_.c_str());
}

}  // namespace shm
