#include "unix_socket.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace shm {
namespace {

constexpr std::size_t kMaxFds = 4;

bool FillAddress(const std::string& path, sockaddr_un& address) noexcept {
  if (path.empty() || path.size() >= sizeof address.sun_path) return false;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return true;
}

IoResult FromErrno() noexcept {
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return IoResult::kAgain;
  return errno == ECONNRESET || errno == EPIPE ? IoResult::kClosed : IoResult::kFailed;
}

}  // namespace

int ConnectUnix(const std::string& path) noexcept {
  sockaddr_un address{};
  if (!FillAddress(path, address)) return -ENAMETOOLONG;
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return -errno;
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return -errno;
  }
  return fd.Release();
}

int ListenUnix(const std::string& path, int backlog) noexcept {
  sockaddr_un address{};
  if (!FillAddress(path, address)) return -ENAMETOOLONG;
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return -errno;
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(fd.get(), backlog) != 0) {
    return -errno;
  }
  return fd.Release();
}

int AcceptUnix(int listener) noexcept {
  const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

IoResult Peek(int fd, std::span<char> bytes, std::size_t& received) noexcept {
  received = 0;
  const ssize_t got = recv(fd, bytes.data(), bytes.size(), MSG_PEEK | MSG_DONTWAIT);
  if (got <= 0) return got == 0 ? IoResult::kClosed : FromErrno();
  received = static_cast<std::size_t>(got);
  return IoResult::kDone;
}

int UnreadBytes(int fd) noexcept {
  int bytes = 0;
  return ioctl(fd, SIOCINQ, &bytes) == 0 ? bytes : 0;
}

int UnsentBytes(int fd) noexcept {
  int bytes = 0;
  return ioctl(fd, SIOCOUTQ, &bytes) == 0 ? bytes : 0;
}

std::optional<PeerCredentials> ReadPeerCredentials(int fd) noexcept {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return std::nullopt;
  // What a socket of another family answers.
  if (credentials.pid == 0 && credentials.uid == static_cast<uid_t>(-1)) return std::nullopt;
  return PeerCredentials{credentials.pid, credentials.uid};
}

IoResult SendAll(int fd, std::span<const std::byte> bytes, std::span<const int> fds) noexcept {
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxFds * sizeof(int))> control{};
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size() * sizeof(int));
  }
  const ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0) return FromErrno() == IoResult::kClosed ? IoResult::kClosed : IoResult::kFailed;
  return static_cast<std::size_t>(sent) == bytes.size() ? IoResult::kDone : IoResult::kFailed;
}

IoResult Receive(int fd, std::span<std::byte> bytes, std::size_t& received,
                 std::vector<UniqueFd>& fds) {
  received = 0;
  iovec part{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxFds * sizeof(int))> control{};
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t got = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (got < 0) return FromErrno();
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; i++) {
      int descriptor = -1;
      std::memcpy(&descriptor, CMSG_DATA(header) + i * sizeof(int), sizeof descriptor);
      fds.emplace_back(descriptor);
    }
  }
  if ((message.msg_flags & MSG_CTRUNC) != 0) return IoResult::kTruncated;
  if (got == 0) return IoResult::kClosed;
  received = static_cast<std::size_t>(got);
  return IoResult::kDone;
}

}  // namespace shm
