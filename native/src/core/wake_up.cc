#include "wake_up.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

namespace shm {

UniqueFd MakeEventFd() noexcept { return UniqueFd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)); }

bool MayBeEventFd(int fd) noexcept {
  // What the kernel keeps no file of is of no type.
  struct stat status {};
  return fstat(fd, &status) == 0 && (status.st_mode & S_IFMT) == 0;
}

void WriteWakeUp(int fd) noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(fd, &one, sizeof one);
}

bool TakeWakeUp(int fd) noexcept {
  std::uint64_t count = 0;
  const iovec part{&count, sizeof count};
  // Not by its wrapper, which is missing in older versions of musl.
  const long got = syscall(SYS_preadv2, fd, &part, 1L, -1L, -1L, RWF_NOWAIT);
  if (got == sizeof count) return true;
  const bool unsupported = errno == EOPNOTSUPP || errno == ENOSYS || errno == EPERM;
  // What a peer clears in between makes an older kernel wait for its next wake-up.
  return unsupported && (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0 &&
         read(fd, &count, sizeof count) == sizeof count;
}

bool WakeUpWriter::Write(int fd) {
  {
    const std::lock_guard lock(mutex_);
    fd_ = fd;
    freed_ = false;
  }
  WriteWakeUp(fd);
  // With the lock, Look is done with the descriptor.
  const std::lock_guard lock(mutex_);
  fd_ = -1;
  return !freed_;
}

void WakeUpWriter::Look() {
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (fd_ < 0) return;
      pollfd polled{fd_, POLLOUT, 0};
      if (poll(&polled, 1, 0) != 0 && (polled.revents & POLLOUT) != 0) return;
      freed_ = true;
      TakeWakeUp(fd_);
    }
    // The peer may fill it again before the writer gets there.
    std::this_thread::yield();
  }
}

void WakeUpWriter::Join() {
  const std::lock_guard lock(mutex_);
  users_++;
}

void WakeUpWriter::Leave() {
  const std::lock_guard lock(mutex_);
  users_--;
}

bool WakeUpWriter::used() {
  const std::lock_guard lock(mutex_);
  return users_ > 0;
}

}  // namespace shm
