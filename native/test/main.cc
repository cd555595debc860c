#include <dirent.h>

#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "check.h"
#include "hostile_client.h"

namespace shm::test {
namespace {

struct Test {
  std::string file;
  const char* name;
  void (*run)();
};

std::vector<Test>& Tests() {
  static std::vector<Test> tests;
  return tests;
}

std::string FileName(const char* path) {
  const char* slash = std::strrchr(path, '/');
  return slash == nullptr ? path : slash + 1;
}

int OpenDescriptors() {
  int count = 0;
  DIR* directory = opendir("/proc/self/fd");
  while (readdir(directory) != nullptr) count++;
  closedir(directory);
  return count;
}

// Of memfds only: allocators map and unmap as they like.
int SharedMappings() {
  int count = 0;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("/memfd:") != std::string::npos) count++;
  }
  return count;
}

void RunAndCountLeaks(const Test& test) {
  const int descriptors = OpenDescriptors();
  const int mappings = SharedMappings();
  test.run();
  const int left = OpenDescriptors() - descriptors;
  if (left != 0) throw CheckFailed("leaves " + std::to_string(left) + " descriptors open");
  const int mapped = SharedMappings() - mappings;
  if (mapped != 0) throw CheckFailed("leaves " + std::to_string(mapped) + " memfds mapped");
}

}  // namespace

void Register(const char* file, const char* name, void (*run)()) {
  Tests().push_back({FileName(file), name, run});
}

void Fail(const char* file, int line, const std::string& message) {
  throw CheckFailed(FileName(file) + ":" + std::to_string(line) + ": " + message);
}

}  // namespace shm::test

// Arguments: `--verbose` names each test before it runs; anything else chooses the tests whose file
// or name contains it. `--hostile-clients PATH SEED COUNT` plays clients of somebody else's test.
int main(int count, char** arguments) {
  using namespace shm::test;
  if (count == 5 && std::string_view(arguments[1]) == "--hostile-clients") {
    const auto seed = static_cast<std::uint32_t>(std::stoul(arguments[3]));
    const auto clients = static_cast<std::uint32_t>(std::stoul(arguments[4]));
    return PlayHostileClients(arguments[2], seed, clients) ? 0 : 1;
  }
  bool verbose = false;
  std::string_view wanted;
  for (int i = 1; i < count; i++) {
    if (std::string_view(arguments[i]) == "--verbose") {
      verbose = true;
    } else {
      wanted = arguments[i];
    }
  }
  int passed = 0;
  int failed = 0;
  for (const Test& test : Tests()) {
    const std::string name = test.file + " " + test.name;
    if (name.find(wanted) == std::string::npos) continue;
    if (verbose) std::fprintf(stderr, "%s\n", name.c_str());
    try {
      RunAndCountLeaks(test);
      passed++;
    } catch (const std::exception& error) {
      failed++;
      std::fprintf(stderr, "FAILED %s: %s\n", name.c_str(), error.what());
    }
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}
