#include "loopback_socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "mapping.h"

namespace shm {
namespace {

// A socket address of either family.
struct Address {
  sockaddr_storage storage{};
  socklen_t bytes = 0;
  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
};

bool Parse(const std::string& text, Address& address) noexcept {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) return false;
  std::uint16_t port = 0;
  const char* last = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + colon + 1, last, port);
  if (parsed.ec != std::errc() || parsed.ptr != last) return false;
  std::string host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    address.bytes = sizeof *v6;
    return inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1 &&
           IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
  }
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  v4->sin_family = AF_INET;
  v4->sin_port = htons(port);
  address.bytes = sizeof *v4;
  return inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1 &&
         (ntohl(v4->sin_addr.s_addr) >> 24) == IN_LOOPBACKNET;
}

}  // namespace

bool IsLoopback(const std::string& address) noexcept {
  return !address.empty() && address[0] != '/';
}

int ConnectLoopback(const std::string& text) noexcept {
  Address address;
  if (!Parse(text, address)) return -EADDRNOTAVAIL;
  UniqueFd fd(socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return -errno;
  if (connect(fd.get(), address.get(), address.bytes) != 0) return -errno;
  const int on = 1;
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (fcntl(fd.get(), F_SETFL, O_NONBLOCK) != 0) return -errno;
  return fd.Release();
}

int ListenLoopback(const std::string& text, int backlog) noexcept {
  Address address;
  if (!Parse(text, address)) return -EADDRNOTAVAIL;
  UniqueFd fd(socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return -errno;
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // Inherited by what it accepts.
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (bind(fd.get(), address.get(), address.bytes) != 0 || listen(fd.get(), backlog) != 0) {
    return -errno;
  }
  return fd.Release();
}

int BoundPort(int fd) noexcept {
  Address address;
  address.bytes = sizeof address.storage;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.bytes) != 0) return 0;
  if (address.storage.ss_family == AF_INET) {
    return ntohs(reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_port);
  }
  if (address.storage.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&address.storage)->sin6_port);
  }
  return 0;
}

}  // namespace shm
