#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <future>
#include <thread>

#include "check.h"
#include "core/session.h"
#include "session_pair.h"
#include "two_threads.h"

namespace shm {
namespace {

using namespace test;

// Far beyond anything but a hang.
constexpr int kDeadlineMs = 30'000;
constexpr std::uint32_t kStream = 2;

struct Plan {
  std::uint32_t messages;    // each way
  std::uint32_t window;      // bytes in flight
  std::uint32_t every_nth_large;  // up to 90 kB, the others to 2.5
};

// One end of a session that both sends and receives, as a process would with one thread: slices go
// back out of order, senders run out of slices, of room in the ring, and of credit, and whoever has
// nothing to do sleeps until it is woken.
//
// What it checks of each message tells who wrote it, which one it is, and how long it must be.
class End {
 public:
  End(Session& session, const Plan& plan, std::uint32_t own, std::uint32_t peers)
      : session_(session),
        region_(session.parts().buffers->bytes().data()),
        plan_(plan),
        own_(own),
        peers_(peers),
        words_(session.MaxEventWords()) {}

  void Run(std::atomic<bool>& abandoned) {
    while (!Finished()) {
      CHECK(!abandoned.load());
      const bool received = Receive();
      const bool sent = Send();
      if (session_.wake_due()) session_.WakePeer();
      if (received || sent) continue;
      // Slices and room come back without a word: only events wake.
      if (starved_) {
        std::this_thread::yield();
        ReturnHeld(0);
      } else if (ReturnHeld(0) || Credit(1)) {
        if (session_.wake_due()) session_.WakePeer();
      } else if (session_.TrySleep()) {
        pollfd polled{session_.parts().wake_us.get(), POLLIN, 0};
        CHECK_EQ(poll(&polled, 1, kDeadlineMs), 1);
        session_.AcknowledgeWakeUp();
        sleeps_++;
      }
    }
    CheckAccounts(session_);
  }

  std::uint64_t sleeps() const { return sleeps_; }
  std::uint64_t starvations() const { return starvations_; }

 private:
  std::uint32_t Bytes(std::uint32_t sender, std::uint32_t message) const {
    const std::uint32_t mixed = (message + sender) * 2654435761u >> 7;
    return 1 + (message % plan_.every_nth_large == 0 ? mixed % 90'000 : mixed % 2'500);
  }
  static std::uint32_t Seed(std::uint32_t sender, std::uint32_t message) {
    return message * 31 + sender;
  }
  bool Finished() const {
    return sent_ == plan_.messages && received_ == plan_.messages && in_flight_ == 0 &&
           uncredited_ == 0 && held_.empty();
  }

  bool Receive() {
    const std::int64_t used = session_.Drain(words_);
    CHECK(used >= 0);
    for (std::size_t at = 0; at < static_cast<std::size_t>(used);) {
      CHECK_EQ(words_[at], kStream);
      const std::uint32_t slices = words_[at + 3];
      if (words_[at + 1] == static_cast<std::uint32_t>(Status::kCredit)) {
        CHECK(words_[at + 2] <= in_flight_);
        in_flight_ -= words_[at + 2];
      } else {
        Take(at + 4, slices);
      }
      at += 4 + 3 * slices;
    }
    ReturnHeld(received_ % 7);
    Credit(std::max(plan_.window / 4, 1u));
    return used > 0;
  }

  void Take(std::size_t at, std::uint32_t slices) {
    const std::uint32_t expected = Bytes(peers_, received_);
    const std::uint32_t seed = Seed(peers_, received_);
    std::uint32_t done = 0;
    for (std::uint32_t i = 0; i < slices; i++, at += 3) {
      const std::uint32_t bytes = words_[at + 2];
      for (std::uint32_t in_slice = 0; in_slice < bytes;) {
        const std::uint32_t part = std::min(bytes - in_slice, kPatternBytes);
        CHECK(std::memcmp(region_ + words_[at + 1] + in_slice, Pattern(seed + done), part) == 0);
        in_slice += part;
        done += part;
      }
      if (i % 2 == 0) {
        held_.push_back(words_[at]);
      } else {
        held_.push_front(words_[at]);
      }
    }
    CHECK_EQ(done, expected);
    received_++;
    uncredited_ += done;
  }

  // Returns slices until `keep` are left.
  bool ReturnHeld(std::size_t keep) {
    const bool any = held_.size() > keep;
    for (; held_.size() > keep; held_.pop_front()) CHECK(session_.Release(held_.front()));
    return any;
  }

  bool Credit(std::uint32_t least) {
    if (uncredited_ < least) return false;
    if (!session_.Signal(kStream, Status::kCredit, uncredited_)) {
      CHECK(!session_.corrupt());
      starved_ = true;
      return false;
    }
    uncredited_ = 0;
    return true;
  }

  bool Send() {
    bool any = false;
    starved_ = false;
    while (sent_ < plan_.messages && in_flight_ < plan_.window) {
      const std::uint32_t bytes = Bytes(own_, sent_);
      spans_.clear();
      const std::int64_t covered = session_.Allocate(bytes, spans_);
      CHECK(covered >= 0);
      if (covered == bytes) Fill(Seed(own_, sent_));
      if (covered < bytes || !session_.Send(kStream, spans_)) {
        CHECK(!session_.corrupt());
        for (const SliceSpan& span : spans_) CHECK(session_.Release(span.slice));
        starved_ = true;
        starvations_++;
        return any;
      }
      sent_++;
      in_flight_ += bytes;
      any = true;
    }
    return any;
  }

  void Fill(std::uint32_t seed) {
    std::uint32_t at = 0;
    for (const SliceSpan& span : spans_) {
      for (std::uint32_t in_slice = 0; in_slice < span.bytes;) {
        const std::uint32_t part = std::min(span.bytes - in_slice, kPatternBytes);
        std::memcpy(region_ + span.payload() + in_slice, Pattern(seed + at), part);
        in_slice += part;
        at += part;
      }
    }
  }

  Session& session_;
  std::byte* region_;
  Plan plan_;
  std::uint32_t own_;    // which pattern we write
  std::uint32_t peers_;  // and which the peer
  std::vector<std::uint32_t> words_;
  std::vector<SliceSpan> spans_;
  std::deque<std::uint32_t> held_;
  std::uint32_t sent_ = 0;
  std::uint32_t received_ = 0;
  std::uint32_t in_flight_ = 0;
  std::uint32_t uncredited_ = 0;
  bool starved_ = false;
  std::uint64_t sleeps_ = 0;
  std::uint64_t starvations_ = 0;
};

void Exchange(SessionPair& pair, const Plan& plan) {
  End client(*pair.client, plan, 1, 2);
  End server(*pair.server, plan, 2, 1);
  std::atomic<bool> abandoned{false};
  // Whoever fails wakes the other, which may sleep.
  const auto run = [&abandoned](End& end, const UniqueFd& wake_peer) {
    try {
      end.Run(abandoned);
    } catch (...) {
      abandoned.store(true);
      const std::uint64_t one = 1;
      [[maybe_unused]] const ssize_t written = write(wake_peer.get(), &one, sizeof one);
      throw;
    }
  };
  auto thread = std::async(std::launch::async,
                           [&] { run(server, pair.server->parts().wake_peer); });
  run(client, pair.client->parts().wake_peer);
  thread.get();
  for (Session* session : {pair.client.get(), pair.server.get()}) {
    CHECK(session->Reclaim());
    CheckAccounts(*session);
    CHECK_EQ(Held(*session) + Lent(*session) + Borrowed(*session), 0u);
  }
}

TEST(TwoThreadsExchangeMessagesOfManySlices) {
  SessionPair pair(2 * 1024 * 1024, 16);
  Exchange(pair, {100'000, 128 * 1024, 40});
}

// So few slices and so small a ring that senders mostly wait.
TEST(TwoThreadsThatKeepRunningOutOfEverything) {
  SessionPair pair(256 * 1024, 16);
  Exchange(pair, {10'000, 1024 * 1024, 2});
}

// So little credit that both mostly sleep.
TEST(TwoThreadsThatKeepFallingAsleep) {
  SessionPair pair(1024 * 1024, 64);
  Exchange(pair, {10'000, 1, UINT32_MAX});
}

}  // namespace
}  // namespace shm
