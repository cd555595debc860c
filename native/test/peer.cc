#include "peer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "check.h"
#include "core/unix_socket.h"
#include "core/wake_up.h"

namespace shm::test {
namespace {

// Far beyond anything but a hang.
constexpr int kDeadlineMs = 20'000;

}  // namespace

static_assert(kAllSeals == (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW));

std::vector<std::byte> Bytes(std::initializer_list<unsigned> values) {
  std::vector<std::byte> bytes;
  for (const unsigned value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

std::vector<std::byte> Bytes(const std::string& text) {
  std::vector<std::byte> bytes;
  for (const char c : text) bytes.push_back(static_cast<std::byte>(c));
  return bytes;
}

std::vector<std::byte> operator+(std::vector<std::byte> first,
                                 const std::vector<std::byte>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

std::pair<UniqueFd, UniqueFd> SocketPair() {
  std::array<int, 2> fds{};
  CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()), 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

void Peer::Send(std::span<const std::byte> bytes, std::span<const int> descriptors) {
  // SendAll takes four at most; a hostile peer may send more.
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  std::vector<char> control(CMSG_SPACE(descriptors.size() * sizeof(int)));
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
    std::copy(descriptors.begin(), descriptors.end(), reinterpret_cast<int*>(CMSG_DATA(header)));
  }
  CHECK_EQ(sendmsg(socket_.get(), &message, MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
}

std::vector<std::byte> Peer::Read(std::size_t bytes) {
  std::vector<std::byte> out(bytes);
  for (std::size_t have = 0; have < bytes;) {
    std::size_t received = 0;
    const IoResult result = Receive(socket_.get(), std::span(out).subspan(have), received, fds);
    if (result == IoResult::kAgain) {
      WaitReadable();
      continue;
    }
    CHECK_EQ(result, IoResult::kDone);
    have += received;
  }
  return out;
}

std::string Peer::ReadText(std::size_t bytes) {
  const auto read = Read(bytes);
  return {reinterpret_cast<const char*>(read.data()), read.size()};
}

bool Peer::Silent() {
  char byte = 0;
  std::size_t received = 0;
  return Peek(socket_.get(), {&byte, 1}, received) == IoResult::kAgain;
}

void Peer::ExpectEnd() {
  char byte = 0;
  std::size_t received = 0;
  IoResult result = Peek(socket_.get(), {&byte, 1}, received);
  while (result == IoResult::kAgain) {
    WaitReadable();
    result = Peek(socket_.get(), {&byte, 1}, received);
  }
  CHECK_EQ(result, IoResult::kClosed);
}

void Peer::ExpectReset() {
  std::array<std::byte, 64> rest{};
  std::size_t received = 0;
  IoResult result = IoResult::kDone;
  while (result == IoResult::kDone || result == IoResult::kAgain) {
    if (result == IoResult::kAgain) WaitReadable();
    result = Receive(socket_.get(), rest, received, fds);
  }
  CHECK_EQ(result, IoResult::kClosed);
}

void Peer::WaitReadable() {
  pollfd polled{socket_.get(), POLLIN, 0};
  CHECK_EQ(poll(&polled, 1, kDeadlineMs), 1);
}

void FillCounter(int eventfd) {
  const std::uint64_t most = UINT64_MAX - 1;
  TakeWakeUp(eventfd);
  // Somebody may have added meanwhile.
  while (write(eventfd, &most, sizeof most) < 0 && errno == EAGAIN) TakeWakeUp(eventfd);
}

UniqueFd Memfd(std::size_t bytes, int seals) {
  UniqueFd fd(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  CHECK(static_cast<bool>(fd));
  CHECK_EQ(ftruncate(fd.get(), static_cast<off_t>(bytes)), 0);
  CHECK_EQ(fcntl(fd.get(), F_ADD_SEALS, seals), 0);
  return fd;
}

}  // namespace shm::test
