#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "core/mapping.h"

namespace shm {

// A descriptor whose number JavaScript was given, to make a socket of. A thread that is terminated
// in between leaves nobody who closes it, and the number does not tell: it may by now be a socket's,
// or closed and another thread's. At the thread's end, its sockets closed, the inode does tell.
class HandedFd {
 public:
  HandedFd() = default;
  explicit HandedFd(UniqueFd fd) noexcept : fd_(fd.Release()) {
    if (fd_ >= 0 && fstat(fd_, &identity_) != 0) fd_ = -1;
  }

  int number() const noexcept { return fd_; }
  // JavaScript has made a socket of it, or closed it.
  void Settle() noexcept { fd_ = -1; }
  // Only once the sockets of the thread are closed.
  void CloseOrphan() noexcept {
    struct stat now {};
    const int fd = std::exchange(fd_, -1);
    if (fd < 0 || fstat(fd, &now) != 0) return;
    if (now.st_dev == identity_.st_dev && now.st_ino == identity_.st_ino) close(fd);
  }

 private:
  int fd_ = -1;
  struct stat identity_ {};
};

}  // namespace shm
