#include <cstdio>
#include <cstdlib>
#include <string>

#include "check.h"
#include "scenarios.h"

namespace shm::test {

void Fail(const char* file, int line, const std::string& message) {
  throw CheckFailed(std::string(file) + ":" + std::to_string(line) + ": " + message);
}

}  // namespace shm::test

// Argument: schedules of each scenario. Ends with 1 at the first that fails.
int main(int count, char** arguments) {
  using namespace shm::scenarios;
  struct Scenario {
    const char* name;
    std::string (*run)(std::uint32_t);
  };
  constexpr Scenario kAll[] = {
      {"RingWrapsAround", RingWrapsAround},
      {"SleepMeetsPush", SleepMeetsPush},
      {"SleepMeetsPushOfPlainShmipc", SleepMeetsPushOfPlainShmipc},
      {"OwnedListReturns", OwnedListReturns},
      {"SharedListWithOneTaker", SharedListWithOneTaker},
      {"SharedListWithTwoTakers", SharedListWithTwoTakers},
      {"SharedListWhoseTakersMeet", SharedListWhoseTakersMeet},
  };
  const auto schedules = static_cast<std::uint32_t>(count > 1 ? std::atoi(arguments[1]) : 1000);
  // Seed by seed rather than scenario by scenario: a mutant is found sooner.
  for (std::uint32_t seed = 0; seed < schedules; seed++) {
    for (const Scenario& scenario : kAll) {
      const std::string error = scenario.run(seed);
      if (error.empty()) continue;
      std::printf("%s, schedule %u: %s\n", scenario.name, seed, error.c_str());
      return 1;
    }
  }
  return 0;
}
