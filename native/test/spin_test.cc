#include "core/spin.h"

#include <sched.h>

#include <cerrno>
#include <future>
#include <thread>
#include <vector>

#include "check.h"
#include "core/affinity.h"
#include "session_pair.h"

namespace shm {
namespace {

using namespace test;

TEST(ASpinEndsWithAnEventOrWithItsTime) {
  SessionPair pair;
  Spin spin;
  CHECK(!spin.Wait(pair.server->receive_queue()));
  CHECK(pair.client->Signal(1, Status::kFin, 0));
  CHECK(spin.Wait(pair.server->receive_queue()));
  CHECK_EQ(spin.hits(), 1u);
  CHECK_EQ(spin.misses(), 1u);
  // It only looks.
  CHECK_EQ(DrainAll(*pair.server).size(), 1u);
}

TEST(ASpinIsBoundedByWhatItWasWorth) {
  SessionPair pair;
  Spin spin;
  for (int i = 0; i < 20; i++) CHECK(!spin.Wait(pair.server->receive_queue()));
  CHECK_EQ(spin.bound_ns(), Spin::kMinNs);
  CHECK(pair.client->Signal(1, Status::kFin, 0));
  CHECK(spin.Wait(pair.server->receive_queue()));
  CHECK_EQ(spin.bound_ns(), 2 * Spin::kMinNs);
  for (int i = 0; i < 20; i++) CHECK(spin.Wait(pair.server->receive_queue()));
  CHECK_EQ(spin.bound_ns(), Spin::kMaxNs);
}

TEST(ASpinSeesWhatAnotherThreadPublishes) {
  SessionPair pair;
  auto other = std::async(std::launch::async, [&] { CHECK(pair.client->Signal(1, Status::kFin, 0)); });
  Spin spin;
  while (!spin.Wait(pair.server->receive_queue())) std::this_thread::yield();
  other.get();
  CHECK_EQ(DrainAll(*pair.server).size(), 1u);
}

// Sleeps until one trial is due; returns how many.
int SleepsUntilTrial(ThriftySpin& spin) {
  int sleeps = 1;
  while (spin.Bound(false, 0) == 0) sleeps++;
  return sleeps;
}

TEST(AThriftySpinTriesNowAndThenAndMoreSeldomEachTimeInVain) {
  SessionPair pair;
  const EventQueue& quiet = pair.server->receive_queue();
  ThriftySpin spin;
  CHECK_EQ(SleepsUntilTrial(spin), static_cast<int>(ThriftySpin::kMinPause));
  CHECK(!spin.Wait(quiet, 1'000));
  CHECK_EQ(SleepsUntilTrial(spin), static_cast<int>(2 * ThriftySpin::kMinPause));
  for (int i = 0; i < 20; i++) {
    CHECK(!spin.Wait(quiet, 1'000));
    SleepsUntilTrial(spin);
  }
  CHECK(!spin.Wait(quiet, 1'000));
  CHECK_EQ(SleepsUntilTrial(spin), static_cast<int>(ThriftySpin::kMaxPause));
}

TEST(AThriftySpinTriesNothingAfterALongSleep) {
  ThriftySpin spin;
  for (int i = 0; i < 5000; i++) CHECK_EQ(spin.Bound(false, ThriftySpin::kShortSleepNs), 0u);
}

TEST(AThriftySpinGoesOnWhileItPays) {
  SessionPair pair;
  ThriftySpin spin;
  SleepsUntilTrial(spin);
  CHECK(pair.client->Signal(1, Status::kFin, 0));
  CHECK(spin.Wait(pair.server->receive_queue(), ThriftySpin::kTrialNs));
  for (int i = 0; i < 100; i++) {
    CHECK_EQ(spin.Bound(false, 0), ThriftySpin::kWorthNs);
    CHECK(spin.Wait(pair.server->receive_queue(), ThriftySpin::kWorthNs));
  }
  CHECK_EQ(DrainAll(*pair.server).size(), 1u);
  // Some misses do not end it; as many as there are without an end do.
  int misses = 0;
  while (spin.Bound(false, ThriftySpin::kShortSleepNs) != 0) {
    CHECK(!spin.Wait(pair.server->receive_queue(), 1'000));
    CHECK(++misses < 10);
  }
  CHECK(misses > 1);
}

TEST(AThriftySpinAnswersAPeerThatLooks) {
  SessionPair pair;
  const EventQueue& quiet = pair.server->receive_queue();
  ThriftySpin spin;
  CHECK_EQ(spin.Bound(true, ThriftySpin::kShortSleepNs), ThriftySpin::kWorthNs);
  CHECK(spin.replies());
  CHECK(!spin.Wait(quiet, 1'000));
  // In vain: not each time.
  int waits = 0;
  for (int i = 0; i < 1000; i++) {
    if (spin.Bound(true, ThriftySpin::kShortSleepNs) == 0) continue;
    CHECK(spin.replies());
    CHECK(!spin.Wait(quiet, 1'000));
    waits++;
  }
  CHECK(waits > 10 && waits < 30);
  // Worth it: from here on without being asked.
  CHECK(pair.client->Signal(1, Status::kFin, 0));
  while (spin.Bound(true, 0) == 0) {
  }
  CHECK(spin.Wait(quiet, ThriftySpin::kWorthNs));
  CHECK_EQ(spin.Bound(false, 0), ThriftySpin::kWorthNs);
  CHECK(!spin.replies());
}

std::vector<std::uint32_t> Allowed() {
  cpu_set_t set;
  CHECK_EQ(sched_getaffinity(0, sizeof set, &set), 0);
  std::vector<std::uint32_t> cpus;
  for (std::uint32_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

TEST(PinsEveryThreadOfTheProcess) {
  const std::vector<std::uint32_t> before = Allowed();
  const std::vector<std::uint32_t> one = {before.back()};
  std::promise<void> pinned;
  auto other = std::async(std::launch::async, [&] {
    pinned.get_future().wait();
    return Allowed();
  });
  const int error = PinProcess(one);
  pinned.set_value();
  const std::vector<std::uint32_t> others = other.get();
  const std::vector<std::uint32_t> ours = Allowed();
  CHECK_EQ(PinProcess(before), 0);
  CHECK_EQ(error, 0);
  CHECK(ours == one);
  CHECK(others == one);
  CHECK(Allowed() == before);
}

TEST(PinsToNoProcessorThatIsNone) {
  const std::vector<std::uint32_t> before = Allowed();
  CHECK_EQ(PinProcess({}), EINVAL);
  for (const std::uint32_t cpu : {1023u, 1024u, 0xffffffffu}) {
    CHECK_EQ(PinProcess(std::vector{cpu}), EINVAL);
  }
  CHECK(Allowed() == before);
}

}  // namespace
}  // namespace shm
