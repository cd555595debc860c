#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "mapping.h"

namespace shm {

// Non-blocking, close-on-exec stream sockets of the AF_UNIX family. Paths hold at most 107 bytes.
// Failures leave a negative errno in the result.

// Returns the descriptor or -errno.
int ConnectUnix(const std::string& path) noexcept;
// Binds and listens. Returns the descriptor or -errno.
int ListenUnix(const std::string& path, int backlog) noexcept;
// Returns the accepted descriptor or -errno.
int AcceptUnix(int listener) noexcept;

// kTruncated: descriptors were sent that this process has no room for.
enum class IoResult : std::uint8_t { kDone, kAgain, kClosed, kFailed, kTruncated };

// The first bytes in the socket, which stay there; `received` of them. kClosed at end of stream.
IoResult Peek(int fd, std::span<char> bytes, std::size_t& received) noexcept;

// Bytes of a stream socket of either family that arrived and were not read, and that the peer has not
// read. 0 when the kernel does not say.
int UnreadBytes(int fd) noexcept;
int UnsentBytes(int fd) noexcept;

// Who connected, or who listens where we connected to. `pid` is 0 outside our pid namespace.
struct PeerCredentials {
  pid_t pid;
  uid_t uid;
};
std::optional<PeerCredentials> ReadPeerCredentials(int fd) noexcept;

// Sends all of `bytes`, with `fds` attached to the first of them. The handshake's messages are far
// smaller than a socket buffer: a short write means the peer floods us and is kFailed.
IoResult SendAll(int fd, std::span<const std::byte> bytes, std::span<const int> fds) noexcept;

// Reads up to `bytes.size()` bytes; `received` of them came. Descriptors that came with them are
// appended to `fds`, close-on-exec, at most four.
IoResult Receive(int fd, std::span<std::byte> bytes, std::size_t& received,
                 std::vector<UniqueFd>& fds);

}  // namespace shm
