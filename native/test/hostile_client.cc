#include "hostile_client.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "check.h"
#include "core/atomics.h"
#include "core/control_message.h"
#include "core/layout.h"
#include "core/session.h"
#include "handshake_peer.h"
#include "peer.h"
#include "two_threads.h"

namespace shm::test {
namespace {

using namespace layout;

constexpr std::uint64_t kMemory = 1024 * 1024;
constexpr std::uint32_t kPage = 4096;

UniqueFd Dial(const std::string& path) {
  UniqueFd socket_fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  CHECK(path.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, path.data(), path.size());
  if (connect(socket_fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error("nobody listens any more");
  }
  fcntl(socket_fd.get(), F_SETFL, O_NONBLOCK);
  return socket_fd;
}

class HostileClient {
 public:
  HostileClient(const std::string& path, std::uint32_t seed) : random_(seed), peer_(Dial(path)) {}

  void Play() {
    switch (Below(10)) {
      case 0:
        return peer_.Send(Garbage(1 + Below(64)));
      case 1:
        return peer_.Send(Bytes("GET / HTTP/9.9\r\n") + Garbage(Below(64)));
      case 2:
        return CutHandshakeShort();
      case 3:
        return SendOtherDescriptors();
      default:
        break;
    }
    const bool blocks = Below(40) == 0;
    if (!Establish(!blocks && Below(2) == 0)) return;
    if (blocks) return BlockWakeUps();
    honest_ = Below(3) == 0;
    for (std::uint32_t i = 0, actions = 1 + Below(40); i < actions; i++) Act();
  }

  // After whatever happened the server closes its end, be it because we closed ours.
  void End() {
    shutdown(peer_.fd(), SHUT_WR);
    peer_.ExpectReset();
  }

 private:
  std::uint32_t Below(std::uint32_t bound) { return static_cast<std::uint32_t>(random_()) % bound; }

  std::vector<std::byte> Garbage(std::uint32_t bytes) {
    std::vector<std::byte> out(bytes);
    for (std::byte& byte : out) byte = static_cast<std::byte>(Below(4) == 0 ? 0 : Below(256));
    return out;
  }

  void CutHandshakeShort() {
    auto first = Header(4);
    if (Below(2) == 0) {
      first.resize(Below(8));
      return peer_.Send(first);
    }
    peer_.Send(first);
    auto second = Metadata("queue", Below(2) == 0 ? kMarkedName : kPlainName);
    if (Below(2) == 0) second[Below(static_cast<std::uint32_t>(second.size()))] = std::byte{0xff};
    else second.resize(Below(static_cast<std::uint32_t>(second.size())));
    peer_.Send(second);
  }

  void Offer(const std::string& name) {
    peer_.Send(Header(4));
    peer_.Read(8);
    peer_.Send(Metadata("queue", name));
    peer_.Read(8);
  }

  void SendOtherDescriptors() {
    Offer(Below(2) == 0 ? kMarkedName : kPlainName);
    std::vector<UniqueFd> kept;
    std::vector<int> fds;
    for (std::uint32_t i = 0, count = Below(6); i < count; i++) {
      switch (Below(4)) {
        case 0:
          kept.push_back(UniqueFd(open("/dev/zero", O_RDWR | O_CLOEXEC)));
          break;
        case 1:
          kept.push_back(Memfd(Below(3) * kPage, Below(8)));
          break;
        case 2:
          kept.push_back(BufferMemory(static_cast<int>(Below(8)), kMemory));
          break;
        default:
          kept.push_back(QueueMemory(static_cast<int>(Below(8))));
          break;
      }
      fds.push_back(kept.back().get());
    }
    peer_.Send(Bytes({0}), fds);
  }

  // False when the server closed instead.
  bool Establish(bool plain) {
    const int seals = plain ? (Below(4) == 0 ? kAllSeals : 0) : kAllSeals;
    sealed_ = seals != 0;
    buffers_ = BufferMemory(seals, kMemory);
    queues_ = QueueMemory(seals);
    Offer(plain ? kPlainName : kMarkedName);
    peer_.Send(Bytes({0}), std::array{buffers_.get(), queues_.get()});
    // While the server looks at what it has got.
    if (!sealed_ && Below(3) == 0) {
      Dawdle(Below(100'000));
      CHECK_EQ(ftruncate(Below(2) == 0 ? buffers_.get() : queues_.get(), 0), 0);
    }
    const auto ack = peer_.Read(8);
    peer_.Read(control::GetU32(ack, 0) - 8);
    SessionParts parts;
    parts.side = Side::kClient;
    parts.discipline = plain ? Discipline::kShared : Discipline::kOwned;
    parts.buffers = Map(buffers_);
    parts.queues = Map(queues_);
    if (!plain) {
      CHECK_EQ(peer_.fds.size(), 2u);
      parts.wake_peer = std::move(peer_.fds[0]);
      parts.wake_us = std::move(peer_.fds[1]);
    }
    std::string error;
    session_ = Session::Open(std::move(parts), error);
    CHECK_EQ(error, "");
    words_.resize(2 * session_->MaxEventWords());
    return true;
  }

  static std::shared_ptr<Mapping> Map(const UniqueFd& fd) {
    std::string error;
    const auto bytes = static_cast<std::size_t>(lseek(fd.get(), 0, SEEK_END));
    auto mapping = Mapping::Adopt(UniqueFd(dup(fd.get())), bytes, bytes, false, error);
    CHECK_EQ(error, "");
    return mapping;
  }

  void Act() {
    switch (Below(honest_ ? 4 : 9)) {
      case 0:
      case 1:
        SendMessage();
        break;
      case 2:
        TakeAndReturn();
        break;
      case 3:
        peer_.Send(Fallback(2 * (1 + Below(3)), 0, Garbage(Below(2000))));
        break;
      case 4:
        SendControl();
        break;
      case 5:
        if (Below(4) == 0) Cut();
        break;
      default:
        Overwrite();
        break;
    }
    Wake();
  }

  void SendMessage() {
    if (session_->corrupt()) return;
    std::vector<SliceSpan> spans;
    const std::uint32_t stream = 2 * (1 + Below(4));
    if (session_->Allocate(1 + Below(60'000), spans) <= 0) return;
    for (const SliceSpan& span : spans) {
      std::memset(session_->parts().buffers->bytes().data() + span.payload(), 'x', span.bytes);
    }
    (void)session_->Send(stream, spans);
    if (Below(4) == 0) (void)session_->Signal(stream, static_cast<Status>(1 + Below(3)), 0);
  }

  void TakeAndReturn() {
    const std::int64_t used = session_->Drain(words_);
    for (std::size_t at = 0; used > 0 && at < static_cast<std::size_t>(used);) {
      for (std::uint32_t i = 0; i < words_[at + 3]; i++) {
        (void)session_->Release(words_[at + 4 + 3 * i]);
      }
      at += 4 + 3 * std::size_t{words_[at + 3]};
    }
  }

  static std::vector<std::byte> Fallback(std::uint32_t stream, std::uint32_t status,
                                         const std::vector<std::byte>& data) {
    std::vector<std::byte> payload;
    control::PutU32(payload, stream);
    control::PutU32(payload, status);
    return Header(3, static_cast<std::uint32_t>(16 + data.size())) + payload + data;
  }

  // Any type, any length, with as many bytes or not.
  void SendControl() {
    const std::uint32_t type = Below(12);
    switch (Below(4)) {
      case 0:
        return peer_.Send(Garbage(1 + Below(40)));
      case 1: {
        const std::array<std::uint32_t, 6> lengths = {0, 7, 9, 17, 0x7fffffff, 0xffffffff};
        return peer_.Send(Header(type, lengths[Below(6)]) + Garbage(Below(40)));
      }
      case 2:
        return peer_.Send(Fallback(Below(10), Below(9), Garbage(Below(300))));
      default: {
        const std::uint32_t bytes = Below(20);
        return peer_.Send(Header(type, 8 + bytes) + Garbage(bytes));
      }
    }
  }

  void Overwrite() {
    const auto region = session_->parts().buffers->bytes();
    const auto queue = session_->parts().queues->bytes();
    const auto& lists = session_->region().lists();
    const auto& geometry = lists[Below(static_cast<std::uint32_t>(lists.size()))].geometry();
    const std::uint32_t slice = geometry.area() + Below(std::min(geometry.capacity, 8u)) * geometry.stride();
    const std::array<std::uint32_t, 4> values = {slice, slice - geometry.area(), Below(5000),
                                                 static_cast<std::uint32_t>(random_())};
    switch (Below(4)) {
      case 0:
        return StoreRelaxed<std::uint32_t>(region.data() + slice + 4 * Below(4), values[Below(4)]);
      case 1:
        return StoreRelaxed<std::uint32_t>(region.data() + geometry.header + 4 * Below(9), values[Below(4)]);
      case 2:
        return StoreRelaxed<std::uint32_t>(
            queue.data() + 4 * Below(static_cast<std::uint32_t>(queue.size() / 4)), values[Below(4)]);
      default:  // an event about any slice
        if (!session_->corrupt()) {
          (void)session_->Signal(Below(10), static_cast<Status>(Below(9)), values[Below(4)]);
        }
    }
  }

  void Cut() {
    const UniqueFd& fd = Below(3) == 0 ? queues_ : buffers_;
    const auto bytes = static_cast<std::uint32_t>(lseek(fd.get(), 0, SEEK_END));
    const auto at = static_cast<off_t>(Below(bytes / kPage + 1) * kPage);
    if (sealed_ || Below(3) == 0) {
      fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, kPage);
    } else if (ftruncate(fd.get(), at) != 0) {
      throw std::runtime_error("ftruncate");
    }
  }

  // Asks for an answer and lets the server's wake-up wait for us, by the eventfds both hold.
  void BlockWakeUps() {
    const SessionParts& parts = session_->parts();
    FillCounter(parts.wake_us.get());
    fcntl(parts.wake_us.get(), F_SETFL, 0);
    fcntl(parts.wake_peer.get(), F_SETFL, 0);
    CHECK(session_->TrySleep());
    SendMessage();
    Wake();
    peer_.ExpectReset();
  }

  void Wake() {
    if (session_->WakePeer()) peer_.Send(Header(1));
  }

  std::mt19937 random_;
  Peer peer_;
  UniqueFd buffers_;
  UniqueFd queues_;
  std::unique_ptr<Session> session_;
  std::vector<std::uint32_t> words_;
  bool sealed_ = false;
  bool honest_ = false;
};

}  // namespace

bool PlayHostileClients(const std::string& path, std::uint32_t first_seed, std::uint32_t count) {
  for (std::uint32_t seed = first_seed; seed < first_seed + count; seed++) {
    try {
      HostileClient client(path, seed);
      try {
        client.Play();
      } catch (const CheckFailed&) {
        // The server has closed, or takes no more: what a hostile client gets.
      }
      client.End();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "hostile client %u: %s\n", seed, error.what());
      return false;
    }
  }
  return true;
}

}  // namespace shm::test
