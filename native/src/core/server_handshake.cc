#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "control_message.h"
#include "event_queue.h"
#include "handshake.h"
#include "memory_file.h"
#include "negotiation.h"
#include "region_name.h"
#include "session.h"
#include "unix_socket.h"

namespace shm {
namespace {

using namespace control;

// Two paths of 255 bytes and their lengths; shmipc-go's are shorter.
constexpr std::size_t kMaxMetadataBytes = kHeaderBytes + 2 * (2 + 255);
constexpr std::size_t kMinRegionBytes = 4096;
constexpr std::size_t kMaxQueueBytes = std::size_t{64} * 1024 * 1024;

class ServerHandshake final : public Handshake {
 public:
  ServerHandshake(Offer offer, const ServerOptions& options)
      : Handshake(std::move(offer.socket)),
        options_(options),
        files_(offer.type == kShareMemoryByFilePath) {
    parts_.side = Side::kServer;
    parts_.version = offer.version;
    input_ = std::move(offer.input);
    fds_ = std::move(offer.fds);
  }

  HandshakeState Step() override {
    for (;;) {
      if (!error_.empty()) return HandshakeState::kFailed;
      switch (phase_) {
        case Phase::kMetadata:
          if (!ReadHeader(files_ ? kShareMemoryByFilePath : kShareMemoryByMemfd, kHeaderBytes + 4,
                          kMaxMetadataBytes, length_)) {
            return HandshakeState::kFailed;
          }
          if (const auto state = Fill(length_); !Ready(state)) return state;
          if (!ReadMetadata()) return HandshakeState::kFailed;
          if (files_) {
            return OpenFiles() && Adopt() && Acknowledge() ? HandshakeState::kDone
                                                           : HandshakeState::kFailed;
          }
          if (!Next(Phase::kMemory, Message(kAckReadyReceiveFd))) return HandshakeState::kFailed;
          break;
        case Phase::kMemory:
          if (const auto state = Fill(1); !Ready(state)) return state;
          return Adopt() && Acknowledge() ? HandshakeState::kDone : HandshakeState::kFailed;
      }
    }
  }

 private:
  enum class Phase : std::uint8_t { kMetadata, kMemory };

  static bool Ready(HandshakeState state) { return state == HandshakeState::kDone; }

  bool Next(Phase phase, const std::vector<std::byte>& answer) {
    input_.clear();
    phase_ = phase;
    return Send(answer);
  }

  bool ReadMetadata() {
    const std::size_t queue_bytes = GetU16(input_, kHeaderBytes);
    const std::size_t buffer_at = kHeaderBytes + 2 + queue_bytes;
    if (buffer_at + 2 > length_ || buffer_at + 2 + GetU16(input_, buffer_at) != length_) {
      Fail("the lengths of the region names do not add up");
      return false;
    }
    const auto text = [&](std::size_t at, std::size_t bytes) {
      return std::string(reinterpret_cast<const char*>(input_.data() + at), bytes);
    };
    queue_name_ = text(kHeaderBytes + 2, queue_bytes);
    buffer_name_ = text(buffer_at + 2, length_ - buffer_at - 2);
    if (files_) return true;
    if (const auto window = region_name::Window(buffer_name_)) {
      parts_.discipline = Discipline::kOwned;
      parts_.peer_window = *window;
    }
    return true;
  }

  // By name: what it names is checked, and never looked up again.
  bool OpenFiles() {
    std::optional<uid_t> owner;
    if (const auto peer = ReadPeerCredentials(parts_.control.get())) owner = peer->uid;
    std::string error;
    for (const std::string& path : {buffer_name_, queue_name_}) {
      UniqueFd fd = OpenMemoryFile(path, owner, error);
      if (!fd) {
        Fail(error);
        return false;
      }
      fds_.push_back(std::move(fd));
    }
    return true;
  }

  bool Adopt() {
    if (fds_.size() != 2) {
      Fail(std::to_string(fds_.size()) + " descriptors where buffers and queues were expected");
      return false;
    }
    // shmipc-go cannot seal its memory; a shmesh client must.
    const bool seals = parts_.discipline == Discipline::kOwned;
    std::string error;
    std::vector<SliceList::Geometry> lists;
    const std::size_t most =
        BufferRegion::Plan(std::min(options_.max_memory, BufferRegion::kMaxMemory), lists);
    parts_.buffers = Mapping::Adopt(std::move(fds_[0]), kMinRegionBytes, most, seals, error);
    if (parts_.buffers) {
      parts_.queues = Mapping::Adopt(std::move(fds_[1]), EventQueue::RegionBytes(1),
                                     kMaxQueueBytes, seals, error);
    }
    // Checked before the ack, so that the client learns of a refusal by the closed socket.
    if (!parts_.queues || !Session::Check(parts_, error)) {
      Fail(error);
      return false;
    }
    return true;
  }

  bool Acknowledge() {
    if (parts_.version == kFileVersion) return true;
    if (parts_.discipline == Discipline::kShared) return Send(Message(kAckShareMemory));
    parts_.wake_us = MakeEventFd();
    parts_.wake_peer = MakeEventFd();
    if (!parts_.wake_us || !parts_.wake_peer) {
      Fail(std::string("eventfd: ") + std::strerror(errno));
      return false;
    }
    std::vector<std::byte> fields;
    PutU16(fields, kTagVersion);
    PutU16(fields, 2);
    PutU16(fields, kDisciplineVersion);
    PutU16(fields, kTagWindow);
    PutU16(fields, 4);
    PutU32(fields, options_.window);
    const std::array<int, 2> fds = {parts_.wake_us.get(), parts_.wake_peer.get()};
    return Send(Message(kAckShareMemory, fields), fds);
  }

  ServerOptions options_;
  const bool files_;  // the names are paths
  Phase phase_ = Phase::kMetadata;
  std::size_t length_ = 0;
  std::string queue_name_;
  std::string buffer_name_;
};

std::unique_ptr<Handshake> Start(Offer offer, const ServerOptions& options) {
  return std::make_unique<ServerHandshake>(std::move(offer), options);
}

constexpr std::array kSpoken = {Protocol{kFileVersion, kShareMemoryByFilePath, false, Start},
                                Protocol{kVersion, kShareMemoryByMemfd, true, Start},
                                Protocol{kVersion, kShareMemoryByFilePath, true, Start}};

}  // namespace

std::span<const Protocol> SpokenProtocols() noexcept { return kSpoken; }

std::unique_ptr<Handshake> StartServerHandshake(UniqueFd socket,
                                                const ServerOptions& options) {
  return Negotiate(std::move(socket), options, SpokenProtocols());
}

}  // namespace shm
