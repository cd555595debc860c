#include <sanitizer/asan_interface.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "check.h"
#include "hostile_run.h"

namespace shm::test {

void Fail(const char* file, int line, const std::string& message) {
  throw CheckFailed(std::string(file) + ":" + std::to_string(line) + ": " + message);
}

}  // namespace shm::test

namespace {

// A run takes milliseconds.
constexpr unsigned kDeadlineSeconds = 60;

volatile std::uint32_t seed = 0;

void SaySeed() {
  const std::string line = "seed " + std::to_string(seed) + " ended the process\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
}

void OnAlarm(int) {
  SaySeed();
  _exit(1);
}

}  // namespace

// Arguments: the first seed and how many. Prints how often each reason retired a victim.
int main(int count, char** arguments) {
  using namespace shm::test;
  if (count != 3) return 2;
  const auto first = static_cast<std::uint32_t>(std::atoi(arguments[1]));
  const auto runs = static_cast<std::uint32_t>(std::atoi(arguments[2]));
  __asan_set_death_callback(SaySeed);
  signal(SIGALRM, OnAlarm);
  std::map<std::string, int> reasons;
  for (const char* reason : HostileReasons()) reasons[reason] = 0;
  for (std::uint32_t i = 0; i < runs; i++) {
    seed = first + i;
    if (seed % 100 == 0) alarm(kDeadlineSeconds);
    try {
      const std::string error = RunHostile(seed);
      for (const char* reason : HostileReasons()) {
        if (error.starts_with(reason)) reasons[reason]++;
      }
    } catch (const CheckFailed& failed) {
      std::fprintf(stderr, "seed %u: %s\n", seed, failed.what());
      return 1;
    }
  }
  for (const auto& [reason, times] : reasons) std::printf("%d %s\n", times, reason.c_str());
  return 0;
}
