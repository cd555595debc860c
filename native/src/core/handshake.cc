#include "handshake.h"

#include "control_message.h"
#include "unix_socket.h"

namespace shm {
namespace {

// Two memories one way, two eventfds the other.
constexpr std::size_t kMaxFds = 2;

}  // namespace

HandshakeState Handshake::Fill(std::size_t wanted) {
  while (input_.size() < wanted) {
    const std::size_t have = input_.size();
    input_.resize(wanted);
    std::size_t received = 0;
    const IoResult result =
        Receive(parts_.control.get(), std::span(input_).subspan(have), received, fds_);
    input_.resize(have + received);
    // Each read can bring four more.
    if (fds_.size() > kMaxFds) {
      return Fail(std::to_string(fds_.size()) + " descriptors where at most " +
                  std::to_string(kMaxFds) + " belong to the handshake");
    }
    if (result == IoResult::kAgain) return HandshakeState::kNeedsInput;
    if (result == IoResult::kClosed) return Fail("the peer closed the socket in the handshake");
    if (result == IoResult::kTruncated) {
      return Fail("no file descriptor is free for what the peer hands over (ulimit -n)");
    }
    if (result == IoResult::kFailed) return Fail("the socket failed in the handshake");
  }
  return HandshakeState::kDone;
}

bool Handshake::Send(std::span<const std::byte> bytes, std::span<const int> fds) {
  if (SendAll(parts_.control.get(), bytes, fds) == IoResult::kDone) return true;
  Fail("the peer does not take the handshake's messages");
  return false;
}

bool Handshake::ReadHeader(std::uint8_t type, std::size_t min_bytes, std::size_t max_bytes,
                           std::size_t& length) {
  length = control::GetU32(input_, 0);
  const auto magic = control::GetU16(input_, 4);
  const auto version = std::to_integer<unsigned>(input_[6]);
  const auto got = std::to_integer<unsigned>(input_[7]);
  if (magic != control::kMagic) {
    Fail("bad magic " + std::to_string(magic) + " in the handshake");
  } else if (version != parts_.version) {
    Fail("protocol version " + std::to_string(version) + ", only " + std::to_string(parts_.version) +
         " is spoken here");
  } else if (got != type) {
    Fail("message type " + std::to_string(got) + " where " + std::to_string(type) +
         " was expected in the handshake");
  } else if (length < min_bytes || length > max_bytes) {
    Fail("message of " + std::to_string(length) + " bytes in the handshake");
  }
  return error_.empty();
}

HandshakeState Handshake::Fail(std::string error) {
  if (error_.empty()) error_ = std::move(error);
  return HandshakeState::kFailed;
}

}  // namespace shm
