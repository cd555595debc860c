#pragma once

#include <string>

namespace shm {

// As unix_socket.h, for programs that cannot share a file system: TCP on this machine only.
// Addresses are "127.0.0.1:80" or "[::1]:80"; another network's are refused with -EADDRNOTAVAIL.

// Whether `address` is one, and not a path.
bool IsLoopback(const std::string& address) noexcept;
// Returns the descriptor or -errno. Blocks for as long as the kernel takes to connect to itself.
int ConnectLoopback(const std::string& address) noexcept;
// Binds and listens. Returns the descriptor or -errno.
int ListenLoopback(const std::string& address, int backlog) noexcept;
// The port a descriptor is bound to; 0 when it is not bound to one.
int BoundPort(int fd) noexcept;

}  // namespace shm
