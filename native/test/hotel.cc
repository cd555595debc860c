#include "hotel.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "check.h"
#include "core/unix_socket.h"

namespace shm::test {
namespace {

// Far beyond anything but a hang.
constexpr std::chrono::milliseconds kDeadline{20'000};
constexpr std::uint32_t kProbe = 1'000'000;

}  // namespace

Hotel::Hotel() {
  const char* parent = std::getenv("TMPDIR");
  directory_ = std::string(parent == nullptr ? "/tmp" : parent) + "/shm-test-XXXXXX";
  CHECK(mkdtemp(directory_.data()) != nullptr);
  std::string error;
  doorman_ = Doorman::Start(
      [this] {
        const std::lock_guard lock(mutex_);
        news_ = true;
        changed_.notify_one();
      },
      error);
  CHECK_EQ(error, "");
}

Hotel::~Hotel() {
  doorman_.reset();
  for (const std::string& path : paths_) unlink(path.c_str());
  rmdir(directory_.c_str());
}

UniqueFd Hotel::Bind(const std::string& name, int backlog) {
  paths_.push_back(Path(name));
  UniqueFd fd(ListenUnix(paths_.back(), backlog));
  CHECK(static_cast<bool>(fd));
  return fd;
}

void Hotel::Listen(std::uint32_t id, const std::string& name) {
  doorman_->Listen(id, Bind(name), kServerOptions);
}

Peer Hotel::Dial(const std::string& name) const {
  UniqueFd fd(ConnectUnix(Path(name)));
  CHECK(static_cast<bool>(fd));
  return Peer(std::move(fd));
}

std::vector<Arrival> Hotel::Await(std::size_t count) {
  std::vector<Arrival> arrivals = doorman_->TakeArrivals();
  while (arrivals.size() < count) {
    for (Arrival& arrival : AwaitAny()) arrivals.push_back(std::move(arrival));
  }
  CHECK_EQ(arrivals.size(), count);
  std::ranges::sort(arrivals, {}, &Arrival::id);
  return arrivals;
}

std::vector<Arrival> Hotel::AwaitAny() {
  std::unique_lock lock(mutex_);
  CHECK(changed_.wait_for(lock, kDeadline, [this] { return news_; }));
  news_ = false;
  lock.unlock();
  return doorman_->TakeArrivals();
}

void Hotel::AwaitCalls() {
  doorman_->Connect(kProbe, "", kClientOptions);
  for (;;) {
    for (const Arrival& arrival : AwaitAny()) {
      if (arrival.id == kProbe) return;
    }
  }
}

Peer Answer(const UniqueFd& listener) {
  pollfd polled{listener.get(), POLLIN, 0};
  CHECK_EQ(poll(&polled, 1, static_cast<int>(kDeadline.count())), 1);
  UniqueFd fd(AcceptUnix(listener.get()));
  CHECK(static_cast<bool>(fd));
  return Peer(std::move(fd));
}

bool IsSession(const Arrival& arrival) {
  return arrival.session != nullptr && !arrival.plain && arrival.error.empty();
}

}  // namespace shm::test
