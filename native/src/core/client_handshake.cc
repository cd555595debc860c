#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "control_message.h"
#include "event_queue.h"
#include "handshake.h"
#include "region_name.h"
#include "unix_socket.h"

namespace shm {
namespace {

using namespace control;

constexpr std::size_t kMaxAckBytes = 1024;

class ClientHandshake final : public Handshake {
 public:
  ClientHandshake(UniqueFd socket, std::string name, Sharing sharing,
                  std::shared_ptr<Mapping> buffers, std::shared_ptr<Mapping> queues,
                  std::vector<FileName> files)
      : Handshake(std::move(socket)), name_(std::move(name)), sharing_(sharing) {
    parts_.side = Side::kClient;
    parts_.version = sharing == Sharing::kFileV2 ? kFileVersion : kVersion;
    parts_.files = std::move(files);
    parts_.buffers = std::move(buffers);
    parts_.queues = std::move(queues);
  }

  HandshakeState Step() override {
    for (;;) {
      if (!error_.empty()) return HandshakeState::kFailed;
      switch (phase_) {
        case Phase::kOffer:
          if (sharing_ == Sharing::kFileV2) {
            return Send(Message(kShareMemoryByFilePath, Metadata(), kFileVersion))
                       ? HandshakeState::kDone
                       : HandshakeState::kFailed;
          }
          if (!Send(Message(kExchangeVersion))) return HandshakeState::kFailed;
          phase_ = Phase::kVersion;
          break;
        case Phase::kVersion:
          if (const auto state = Expect(kExchangeVersion, kHeaderBytes); !Ready(state)) return state;
          if (!Send(Message(sharing_ == Sharing::kFile ? kShareMemoryByFilePath : kShareMemoryByMemfd,
                            Metadata()))) {
            return HandshakeState::kFailed;
          }
          phase_ = sharing_ == Sharing::kFile ? Phase::kAck : Phase::kReady;
          break;
        case Phase::kReady: {
          if (const auto state = Expect(kAckReadyReceiveFd, kHeaderBytes); !Ready(state)) {
            return state;
          }
          // Buffers first: the opposite of the metadata's order.
          const std::array<int, 2> fds = {parts_.buffers->fd(), parts_.queues->fd()};
          if (!Send(std::array{std::byte{0}}, fds)) return HandshakeState::kFailed;
          phase_ = Phase::kAck;
          break;
        }
        case Phase::kAck:
          if (const auto state = Expect(kAckShareMemory, kMaxAckBytes); !Ready(state)) return state;
          phase_ = Phase::kAckFields;
          break;
        case Phase::kAckFields:
          if (const auto state = Fill(length_); !Ready(state)) return state;
          return ReadAck();
      }
    }
  }

 private:
  enum class Phase : std::uint8_t { kOffer, kVersion, kReady, kAck, kAckFields };

  static bool Ready(HandshakeState state) { return state == HandshakeState::kDone; }

  // A header, checked; its whole message is consumed when it has no payload.
  HandshakeState Expect(std::uint8_t type, std::size_t max_bytes) {
    if (const auto state = Fill(kHeaderBytes); !Ready(state)) return state;
    if (!ReadHeader(type, kHeaderBytes, max_bytes, length_)) return HandshakeState::kFailed;
    if (type != kAckShareMemory) input_.clear();
    return HandshakeState::kDone;
  }

  std::vector<std::byte> Metadata() const {
    std::vector<std::byte> out;
    for (const std::string& path : {name_ + "_queue", name_ + "_buffer"}) {
      PutU16(out, static_cast<std::uint16_t>(path.size()));
      for (const char c : path) out.push_back(static_cast<std::byte>(c));
    }
    return out;
  }

  HandshakeState ReadAck() {
    // The server has mapped them.
    parts_.files.clear();
    if (length_ == kHeaderBytes) return HandshakeState::kDone;  // plain shmipc
    std::uint16_t version = 0;
    for (std::size_t at = kHeaderBytes; at < length_;) {
      if (at + 4 > length_) return Fail("a field of the ack is cut short");
      const auto tag = GetU16(input_, at);
      const std::size_t bytes = GetU16(input_, at + 2);
      at += 4;
      if (at + bytes > length_) return Fail("a field of the ack is cut short");
      if (tag == kTagVersion && bytes == 2) version = GetU16(input_, at);
      if (tag == kTagWindow && bytes == 4) parts_.peer_window = GetU32(input_, at);
      at += bytes;
    }
    if (version != kDisciplineVersion) {
      return Fail("the peer's discipline version is " + std::to_string(version) + ", ours is " +
                  std::to_string(kDisciplineVersion));
    }
    if (parts_.peer_window == 0) return Fail("the ack carries no window");
    if (fds_.size() != 2 || !MayBeEventFd(fds_[0].get()) || !MayBeEventFd(fds_[1].get())) {
      return Fail("the ack carries no eventfds");
    }
    parts_.wake_peer = std::move(fds_[0]);
    parts_.wake_us = std::move(fds_[1]);
    parts_.discipline = Discipline::kOwned;
    return HandshakeState::kDone;
  }

  std::string name_;
  Sharing sharing_;
  Phase phase_ = Phase::kOffer;
  std::size_t length_ = 0;
};

}  // namespace

std::unique_ptr<Handshake> StartClientHandshake(UniqueFd socket, const ClientOptions& options,
                                                std::string& error) {
  if (options.memory > BufferRegion::kMaxMemory) {
    error = "shared memory of " + std::to_string(options.memory) + " bytes; " +
            std::to_string(BufferRegion::kMaxMemory) + " is the most";
    return nullptr;
  }
  std::array<unsigned char, 16> random{};
  std::uint64_t epoch = 0;
  if (getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()) ||
      getrandom(&epoch, sizeof epoch, 0) != static_cast<ssize_t>(sizeof epoch)) {
    error = "no random bytes for the region's name and epoch";
    return nullptr;
  }
  const bool memfd = options.sharing == Sharing::kMemfd;
  const std::string name =
      memfd ? region_name::Make(random, options.window) : region_name::MakePath(random);
  std::vector<SliceList::Geometry> lists;
  const std::size_t bytes = BufferRegion::Plan(options.memory, lists);
  std::vector<FileName> files;
  const auto create = [&](const char* kind, std::size_t size, std::size_t expected) {
    if (memfd) return Mapping::Create(name + kind, size, error);
    auto mapping = CreateMemoryFile(name + kind, size, expected, error);
    if (mapping) files.emplace_back(name + kind);
    return mapping;
  };
  auto buffers = create("_buffer", bytes, options.memory);
  if (!buffers) return nullptr;
  const std::size_t queue_bytes = EventQueue::RegionBytes(options.queue_capacity);
  auto queues = create("_queue", queue_bytes, queue_bytes);
  if (!queues) return nullptr;
  BufferRegion::Initialise(buffers->bytes(), lists, options.memory, epoch | 1);
  EventQueue::InitialiseRegion(queues->bytes(), options.queue_capacity);
  return std::make_unique<ClientHandshake>(std::move(socket), name, options.sharing,
                                           std::move(buffers), std::move(queues),
                                           std::move(files));
}

}  // namespace shm
