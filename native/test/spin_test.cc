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
