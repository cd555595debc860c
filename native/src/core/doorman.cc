#include "doorman.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "loopback_socket.h"
#include "unix_socket.h"

namespace shm {
namespace {

constexpr int kMaxAcceptsPerTurn = 64;
constexpr std::chrono::milliseconds kDescriptorPause{100};
constexpr std::chrono::milliseconds kRedialPause{10};
// What `shmesh inspect` says, in one write. No HTTP method is written in small letters.
constexpr std::string_view kInspectLine = "inspect\n";

// Accepted and unfinished at a time; more wait in the listeners' backlogs. Of the descriptors of
// this process they may hold a quarter.
std::size_t MaxAccepted() noexcept {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 16;
  return static_cast<std::size_t>(std::clamp<rlim_t>(limit.rlim_cur / 4, 16, 1024));
}

}  // namespace

std::unique_ptr<Doorman> Doorman::Start(std::function<void()> notify, std::string& error) {
  UniqueFd wake = MakeEventFd();
  if (!wake) {
    error = std::string("eventfd: ") + std::strerror(errno);
    return nullptr;
  }
  std::unique_ptr<Doorman> doorman(new Doorman(std::move(notify), std::move(wake)));
  // Signals are the event loop's business.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  // A fault ends the process where it is blocked: see TruncationGuard.
  sigdelset(&all, SIGBUS);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    doorman->thread_ = std::thread([started = doorman.get()] { started->Run(); });
  } catch (const std::system_error& failure) {
    error = std::string("a thread: ") + failure.what();
    doorman.reset();
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return doorman;
}

Doorman::Doorman(std::function<void()> notify, UniqueFd wake)
    : notify_(std::move(notify)), wake_(std::move(wake)), max_accepted_(MaxAccepted()) {}

Doorman::~Doorman() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  Wake();
  if (thread_.joinable()) thread_.join();
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
    calls_.push_back({id, std::move(path), options, Clock::now() + kTimeout, {}});
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
    Redial(now);
    const bool full = Crowded();
    polled.assign(1, {wake_.get(), POLLIN, 0});
    for (const Guest& guest : guests_) {
      const int fd = guest.handshake ? guest.handshake->parts().control.get() : guest.socket.get();
      polled.push_back({fd, POLLIN, 0});
    }
    const std::size_t guests = guests_.size();
    for (const Listener& listener : listeners_) {
      const bool waits = full || listener.resume > now;
      polled.push_back({waits ? -1 : listener.fd.get(), POLLIN, 0});
    }
    int timeout = -1;
    if (const auto until = NextDeadline(now); until != Clock::time_point::max()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now).count();
      timeout = static_cast<int>(std::clamp<long long>(left, 0, 60'000));
    }
    poll(polled.data(), polled.size(), timeout);

    if (polled[0].revents != 0) TakeWakeUp(wake_.get());
    writer_->Look();
    const auto after = Clock::now();
    std::vector<Guest> still;
    for (std::size_t i = 0; i < guests; i++) {
      const bool ready = polled[1 + i].revents != 0;
      const bool timed_out = Deadline(guests_[i], full) <= after;
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

Doorman::Clock::time_point Doorman::NextDeadline(Clock::time_point now) const {
  auto until = writer_->used() ? now + WakeUpWriter::kInterval : Clock::time_point::max();
  const bool crowded = Crowded();
  for (const Guest& guest : guests_) until = std::min(until, Deadline(guest, crowded));
  for (const Call& call : waiting_) until = std::min(until, call.retry);
  for (const Listener& listener : listeners_) {
    if (listener.resume > now) until = std::min(until, listener.resume);
  }
  return until;
}

bool Doorman::Crowded() const {
  return static_cast<std::size_t>(std::ranges::count_if(guests_, &Guest::accepted)) >=
         max_accepted_;
}

Doorman::Clock::time_point Doorman::Deadline(const Guest& guest, bool crowded) const {
  return crowded && guest.accepted ? guest.deadline - kTimeout + kCrowdedTimeout : guest.deadline;
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
  for (Call& call : calls) {
    if (!Dial(call)) waiting_.push_back(std::move(call));
  }
}

void Doorman::Redial(Clock::time_point now) {
  std::vector<Call> still;
  for (Call& call : waiting_) {
    if (call.retry > now || !Dial(call)) still.push_back(std::move(call));
  }
  waiting_ = std::move(still);
}

bool Doorman::Dial(Call& call) {
  const int fd = IsLoopback(call.path) ? ConnectLoopback(call.path) : ConnectUnix(call.path);
  if (fd == -EAGAIN) {
    // Somebody listens, and has more connections to accept than its backlog holds.
    const auto now = Clock::now();
    call.retry = now + kRedialPause;
    if (now < call.deadline) return false;
    Refuse(call.id, "the peer accepted no connection within a second");
    return true;
  }
  if (fd < 0) {
    Refuse(call.id, std::strerror(-fd), -fd);
    return true;
  }
  std::string error;
  auto handshake = StartClientHandshake(UniqueFd(fd), call.options, error);
  if (!handshake) {
    Refuse(call.id, std::move(error));
    return true;
  }
  Guest guest{call.id, {}, {}, false, std::move(handshake), Clock::now() + kTimeout};
  if (!Advance(guest, false)) guests_.push_back(std::move(guest));
  return true;
}

void Doorman::Accept(Listener& listener) {
  for (int i = 0; i < kMaxAcceptsPerTurn && !Crowded(); i++) {
    const int fd = AcceptUnix(listener.fd.get());
    // The connection that cannot be accepted stays readable: out of descriptors, most likely.
    if (fd < 0 && fd != -EAGAIN && fd != -ECONNABORTED && fd != -EINTR) {
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
    std::array<char, kInspectLine.size()> first{};
    std::size_t received = 0;
    const IoResult result = Peek(guest.socket.get(), first, received);
    if (result == IoResult::kAgain && !timed_out) return false;
    if (result == IoResult::kClosed || result == IoResult::kFailed) return true;
    if (std::string_view(first.data(), received) == kInspectLine) {
      AdmitInspector(guest);
      return true;
    }
    // A shmipc length starts with a zero byte, and a shmipc client speaks first and at once. Who
    // says anything else, or nothing yet, is HTTP's to serve, with HTTP's deadlines.
    if (result == IoResult::kAgain || first[0] != 0) {
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
    case HandshakeState::kNeedsInput:
      if (!timed_out) return false;
      Refuse(guest.id, "the peer did not finish the handshake in time");
      return true;
    case HandshakeState::kFailed:
      Refuse(guest.id, guest.handshake->error());
      return true;
    case HandshakeState::kDone:
      Finish(guest);
      return true;
  }
  return true;
}

void Doorman::AdmitInspector(Guest& guest) {
  const auto who = ReadPeerCredentials(guest.socket.get());
  if (!who || (who->uid != 0 && who->uid != geteuid())) return;
  std::array<std::byte, kInspectLine.size()> line{};
  std::size_t received = 0;
  std::vector<UniqueFd> fds;
  if (Receive(guest.socket.get(), line, received, fds) != IoResult::kDone) return;
  Arrival arrival;
  arrival.id = guest.id;
  arrival.inspector = std::move(guest.socket);
  Deliver(std::move(arrival));
}

void Doorman::Finish(Guest& guest) {
  Arrival arrival;
  arrival.id = guest.id;
  SessionParts& parts = guest.handshake->parts();
  parts.writer = writer_;
  arrival.session = Session::Open(std::move(parts), arrival.error);
  Deliver(std::move(arrival));
}

void Doorman::Refuse(std::uint32_t id, std::string error, int connect_errno) {
  Arrival arrival;
  arrival.id = id;
  arrival.error = std::move(error);
  arrival.connect_errno = connect_errno;
  Deliver(std::move(arrival));
}

void Doorman::Deliver(Arrival arrival) {
  {
    const std::lock_guard lock(mutex_);
    arrivals_.push_back(std::move(arrival));
  }
  notify_();
}

void Doorman::Wake() noexcept { WriteWakeUp(wake_.get()); }

}  // namespace shm
