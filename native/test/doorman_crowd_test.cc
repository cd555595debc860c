#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "check.h"
#include "core/doorman.h"
#include "core/unix_socket.h"
#include "hotel.h"

// More connections than a doorman takes at a time, and than a backlog holds.
namespace shm {
namespace {

using namespace test;

// Two times as many as it takes in at a time, all in the backlog before the one that counts: were
// they given the usual second, that would wait for two.
TEST(HalfOpenHandshakesDoNotStarveAnother) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 8192);
  setrlimit(RLIMIT_NOFILE, &limit);
  const std::size_t count = 2 * std::min<rlim_t>(limit.rlim_cur / 4, 1024) + 400;
  Hotel hotel;
  UniqueFd listener = hotel.Bind("a", 4096);
  std::vector<Peer> half;
  while (half.size() < count) {
    half.push_back(hotel.Dial("a"));
    half.back().Send(Header(4));
  }
  hotel.doorman().Connect(2, hotel.Path("a"), kClientOptions);
  hotel.AwaitCalls();
  hotel.doorman().Listen(1, std::move(listener), kServerOptions);

  std::size_t refused = 0;
  for (bool answered = false; !answered;) {
    for (const Arrival& arrival : hotel.AwaitAny()) {
      if (arrival.id == 1 && arrival.session == nullptr) refused++;
      if (arrival.id != 2) continue;
      CHECK_EQ(arrival.error, "");
      answered = true;
    }
  }
  CHECK(refused > 1024);
}

TEST(ACallWaitsForRoomInTheBacklog) {
  Hotel hotel;
  const UniqueFd listener = hotel.Bind("busy");
  std::vector<UniqueFd> queued;
  for (;;) {
    const int fd = ConnectUnix(hotel.Path("busy"));
    if (fd == -EAGAIN) break;
    queued.emplace_back(fd);
  }
  hotel.doorman().Connect(1, hotel.Path("busy"), kClientOptions);
  hotel.AwaitCalls();
  for (const UniqueFd& each : queued) {
    const UniqueFd accepted(AcceptUnix(listener.get()));
    CHECK(static_cast<bool>(accepted) && each);
  }
  Peer server = Answer(listener);
  CHECK(server.Read(8) == Header(4));
}

TEST(ACallDoesNotWaitForRoomInTheBacklogForEver) {
  Hotel hotel;
  const UniqueFd listener = hotel.Bind("busy", 0);
  const UniqueFd queued(ConnectUnix(hotel.Path("busy")));
  hotel.doorman().Connect(1, hotel.Path("busy"), kClientOptions);
  const auto arrivals = hotel.Await(1);
  CHECK_EQ(arrivals[0].error, "the peer accepted no connection within a second");
  CHECK_EQ(arrivals[0].connect_errno, 0);
}

}  // namespace
}  // namespace shm
