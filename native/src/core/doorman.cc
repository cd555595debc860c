#include "doorman.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "unix_socket.h"

namespace shm {
namespace {

// Unfinished handshakes at a time; more wait in the listeners' backlogs.
constexpr std::size_t kMaxGuests = 1024;
constexpr int kMaxAcceptsPerTurn = 64;
constexpr std::chrono::milliseconds kDescriptorPause{100};

}  // namespace

Doorman::Doorman(std::function<void()> notify)
    : notify_(std::move(notify)), wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  // Signals are the event loop's business.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { Run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Doorman::~Doorman() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  Wake();
  thread_.join();
}

void Doorman::Listen(std::uint32_t id, UniqueFd listener, const ServerOptions& options) {
  {
    const std::lock_guard lock(mutex_);
    new_listeners_.push_back({id, std::move(listener), options, {}});
  }
  Wake();
}

void Doorman::StopListening(std::uint32_t id) {
  {
    const std::lock_guard lock(mutex_);
    stopped_.push_back(id);
  }
  Wake();
}

void Doorman::Connect(std::uint32_t id, std::string path, ClientOptions options) {
  {
    const std::lock_guard lock(mutex_);
    calls_.push_back({id, std::move(path), options});
  }
  Wake();
}

std::vector<Arrival> Doorman::TakeArrivals() {
  const std::lock_guard lock(mutex_);
  return std::exchange(arrivals_, {});
}

void Doorman::Run() {
  std::vector<pollfd> polled;
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (ending_) return;
    }
    TakeRequests();

    const auto now = Clock::now();
    auto until = Clock::time_point::max();
    polled.assign(1, {wake_.get(), POLLIN, 0});
    for (const Guest& guest : guests_) {
      const int fd = guest.handshake ? guest.handshake->parts().control.get() : guest.socket.get();
      polled.push_back({fd, POLLIN, 0});
      until = std::min(until, guest.deadline);
    }
    const std::size_t guests = guests_.size();
    for (const Listener& listener : listeners_) {
      const bool paused = listener.resume > now;
      if (paused) until = std::min(until, listener.resume);
      polled.push_back({paused || guests >= kMaxGuests ? -1 : listener.fd.get(), POLLIN, 0});
    }
    int timeout = -1;
    if (until != Clock::time_point::max()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now).count();
      timeout = static_cast<int>(std::clamp<long long>(left, 0, 60'000));
    }
    poll(polled.data(), polled.size(), timeout);

    if (polled[0].revents != 0) {
      std::uint64_t count = 0;
      [[maybe_unused]] const ssize_t got = read(wake_.get(), &count, sizeof count);
    }
    const auto after = Clock::now();
    std::vector<Guest> still;
    for (std::size_t i = 0; i < guests; i++) {
      const bool ready = polled[1 + i].revents != 0;
      const bool timed_out = guests_[i].deadline <= after;
      if ((!ready && !timed_out) || !Advance(guests_[i], timed_out && !ready)) {
        still.push_back(std::move(guests_[i]));
      }
    }
    guests_ = std::move(still);
    for (std::size_t i = 0; i < listeners_.size(); i++) {
      if (polled[1 + guests + i].revents != 0) Accept(listeners_[i]);
    }
  }
}

void Doorman::TakeRequests() {
  std::vector<Call> calls;
  {
    const std::lock_guard lock(mutex_);
    for (Listener& listener : new_listeners_) listeners_.push_back(std::move(listener));
    new_listeners_.clear();
    for (const std::uint32_t id : stopped_) {
      std::erase_if(listeners_, [id](const Listener& listener) { return listener.id == id; });
      std::erase_if(guests_, [id](const Guest& guest) { return guest.accepted && guest.id == id; });
    }
    stopped_.clear();
    calls = std::exchange(calls_, {});
  }
  for (const Call& call : calls) Dial(call);
}

void Doorman::Dial(const Call& call) {
  Arrival failure;
  failure.id = call.id;
  const int fd = ConnectUnix(call.path);
  if (fd < 0) {
    failure.connect_errno = -fd;
    failure.error = std::strerror(-fd);
    Deliver(std::move(failure));
    return;
  }
  auto handshake = StartClientHandshake(UniqueFd(fd), call.options, failure.error);
  if (!handshake) {
    Deliver(std::move(failure));
    return;
  }
  Guest guest{call.id, {}, {}, false, std::move(handshake), Clock::now() + kTimeout};
  if (!Advance(guest, false)) guests_.push_back(std::move(guest));
}

void Doorman::Accept(Listener& listener) {
  for (int i = 0; i < kMaxAcceptsPerTurn && guests_.size() < kMaxGuests; i++) {
    const int fd = AcceptUnix(listener.fd.get());
    if (fd == -EMFILE || fd == -ENFILE || fd == -ENOBUFS || fd == -ENOMEM) {
      listener.resume = Clock::now() + kDescriptorPause;
    }
    if (fd < 0) return;
    Guest guest{listener.id, UniqueFd(fd), listener.options,
                true,        nullptr,      Clock::now() + kTimeout};
    if (!Advance(guest, false)) guests_.push_back(std::move(guest));
  }
}

bool Doorman::Advance(Guest& guest, bool timed_out) {
  if (!guest.handshake) {
    std::uint8_t first = 0;
    const IoResult result = PeekByte(guest.socket.get(), first);
    if (result == IoResult::kAgain && !timed_out) return false;
    if (result == IoResult::kClosed || result == IoResult::kFailed) return true;
    // A shmipc length starts with a zero byte, and a shmipc client speaks first and at once. Who
    // says anything else, or nothing yet, is HTTP's to serve, with HTTP's deadlines.
    if (result == IoResult::kAgain || first != 0) {
      Arrival arrival;
      arrival.id = guest.id;
      arrival.plain = std::move(guest.socket);
      Deliver(std::move(arrival));
      return true;
    }
    guest.handshake = StartServerHandshake(std::move(guest.socket), guest.options);
    guest.deadline = Clock::now() + kTimeout;
  }
  switch (guest.handshake->Step()) {
    case HandshakeState::kNeedsInput: {
      if (!timed_out) return false;
      if (guest.accepted) return true;
      Arrival arrival;
      arrival.id = guest.id;
      arrival.error = "the peer did not finish the handshake within a second";
      Deliver(std::move(arrival));
      return true;
    }
    case HandshakeState::kFailed: {
      Arrival arrival;
      arrival.id = guest.id;
      arrival.error = guest.handshake->error();
      Deliver(std::move(arrival));
      return true;
    }
    case HandshakeState::kDone:
      Finish(guest);
      return true;
  }
  return true;
}

void Doorman::Finish(Guest& guest) {
  Arrival arrival;
  arrival.id = guest.id;
  arrival.session = Session::Open(std::move(guest.handshake->parts()), arrival.error);
  Deliver(std::move(arrival));
}

void Doorman::Deliver(Arrival arrival) {
  {
    const std::lock_guard lock(mutex_);
    arrivals_.push_back(std::move(arrival));
  }
  notify_();
}

void Doorman::Wake() noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof one);
}

}  // namespace shm
