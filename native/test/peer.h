#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/mapping.h"

// The other end of a socket, played by the test byte for byte.
namespace shm::test {

std::vector<std::byte> Bytes(std::initializer_list<unsigned> values);
std::vector<std::byte> Bytes(const std::string& text);
std::vector<std::byte> operator+(std::vector<std::byte> first, const std::vector<std::byte>& second);

// Non-blocking, as the doorman's sockets are.
std::pair<UniqueFd, UniqueFd> SocketPair();

// Makes the next wake-up by this eventfd one too many.
void FillCounter(int eventfd);

class Peer {
 public:
  explicit Peer(UniqueFd socket) : socket_(std::move(socket)) {}

  void Send(std::span<const std::byte> bytes, std::span<const int> fds = {});
  // Exactly as many bytes; waits for them. Descriptors that come along are kept in `fds`.
  std::vector<std::byte> Read(std::size_t bytes);
  std::string ReadText(std::size_t bytes);
  // Whether the socket holds no byte, and no end either.
  bool Silent();
  // Waits for the end of the stream; fails when bytes come instead.
  void ExpectEnd();
  // The same, whether or not the other end had read everything.
  void ExpectReset();
  void Close() { socket_ = UniqueFd(); }
  int fd() const { return socket_.get(); }

  std::vector<UniqueFd> fds;

 private:
  void WaitReadable();

  UniqueFd socket_;
};

// A memfd with any seals, F_SEAL_SEAL for none that can be added.
UniqueFd Memfd(std::size_t bytes, int seals);

constexpr int kAllSeals = 0x0007;  // SEAL, SHRINK, GROW

}  // namespace shm::test
