#include <string>

#include "check.h"
#include "hostile_run.h"

namespace shm {
namespace {

// `npm run test:hostile` does many more. Not under ThreadSanitizer: a peer that writes wherever it
// likes whenever it likes is a data race, and here it is a thread of the same process.
#if !defined(__SANITIZE_THREAD__)
TEST(SurvivesAnythingAPeerDoesToTheMemory) {
  for (std::uint32_t seed = 0; seed < 1000; seed++) {
    try {
      test::RunHostile(seed);
    } catch (const test::CheckFailed& failed) {
      throw test::CheckFailed("seed " + std::to_string(seed) + ": " + failed.what());
    }
  }
}
#endif

}  // namespace
}  // namespace shm
