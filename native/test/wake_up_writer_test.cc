#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "check.h"
#include "core/wake_up.h"
#include "peer.h"
#include "session_pair.h"

// A peer that makes the eventfds it shares with us block.
namespace shm {
namespace {

using namespace test;

void LetBlock(int fd) { CHECK_EQ(fcntl(fd, F_SETFL, 0), 0); }

// As the doorman's thread does, more often.
class Looker {
 public:
  explicit Looker(WakeUpWriter& writer) : thread_([&writer, this] {
    while (!ending_) {
      writer.Look();
      std::this_thread::yield();
    }
  }) {}
  Looker(const Looker&) = delete;
  Looker& operator=(const Looker&) = delete;
  ~Looker() {
    ending_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

TEST(TakingAWakeUpThatIsNotThereDoesNotWaitForIt) {
  const UniqueFd fd = MakeEventFd();
  LetBlock(fd.get());
  CHECK(!TakeWakeUp(fd.get()));
  WriteWakeUp(fd.get());
  WriteWakeUp(fd.get());
  CHECK(TakeWakeUp(fd.get()));
  CHECK(!TakeWakeUp(fd.get()));
}

TEST(GetsOutOfAWakeUpThatBlocks) {
  const UniqueFd fd = MakeEventFd();
  WakeUpWriter writer;
  FillCounter(fd.get());
  LetBlock(fd.get());
  const Looker looker(writer);
  CHECK(!writer.Write(fd.get()));
  // What that peer did is not held against the next.
  const UniqueFd other = MakeEventFd();
  CHECK(writer.Write(other.get()));
  CHECK(TakeWakeUp(other.get()));
}

TEST(GetsOutOfAWakeUpWhoseCounterIsFilledAgainAndAgain) {
  const UniqueFd fd = MakeEventFd();
  WakeUpWriter writer;
  FillCounter(fd.get());
  std::atomic<bool> ending = false;
  std::thread filler([&] {
    const std::uint64_t most = UINT64_MAX - 1;
    // Flags are looked at when a call begins: this thread's calls do not wait, the writer's may.
    while (!ending) {
      fcntl(fd.get(), F_SETFL, O_NONBLOCK);
      [[maybe_unused]] const ssize_t written = write(fd.get(), &most, sizeof most);
      fcntl(fd.get(), F_SETFL, 0);
    }
  });
  {
    const Looker looker(writer);
    for (int round = 0; round < 100; round++) (void)writer.Write(fd.get());
  }
  ending = true;
  filler.join();
}

// Looks meet writes to a counter that is not full: nobody is accused, no wake-up is lost.
TEST(LooksWhileHonestPeersAreWokenChangeNothing) {
  const UniqueFd fd = MakeEventFd();
  WakeUpWriter writer;
  const Looker looker(writer);
  for (int round = 0; round < 20'000; round++) {
    CHECK(writer.Write(fd.get()));
    CHECK(TakeWakeUp(fd.get()));
  }
}

TEST(ASessionWhoseWakeUpBlocksEnds) {
  const auto writer = std::make_shared<WakeUpWriter>();
  SessionPair pair;
  pair.server->parts().writer = writer;
  writer->Join();
  CHECK(writer->used());
  const int fd = pair.client->parts().wake_us.get();
  FillCounter(fd);
  LetBlock(fd);
  CHECK(pair.server->Signal(1, Status::kFin, 0));
  {
    const Looker looker(*writer);
    CHECK(!pair.server->WakePeer());
  }
  CHECK_EQ(pair.server->error(), "the peer filled the counter it is woken by");
  CHECK_EQ(DrainError(*pair.server), pair.server->error());
  pair.server.reset();
  CHECK(!writer->used());
}

TEST(NoFileIsTakenForAnEventfd) {
  CHECK(MayBeEventFd(MakeEventFd().get()));
  CHECK(!MayBeEventFd(-1));
  const UniqueFd memory = Memfd(4096, 0);
  const UniqueFd device(open("/dev/null", O_RDWR | O_CLOEXEC));
  const auto [one, other] = SocketPair();
  int pipes[2];
  CHECK_EQ(pipe2(pipes, O_CLOEXEC), 0);
  const UniqueFd reader(pipes[0]);
  const UniqueFd writer(pipes[1]);
  for (const UniqueFd* fd : {&memory, &device, &one, &writer}) CHECK(!MayBeEventFd(fd->get()));
}

}  // namespace
}  // namespace shm
