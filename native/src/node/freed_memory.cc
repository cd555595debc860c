#include "freed_memory.h"

#include <cstdlib>
#include <cstring>
#include <mutex>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace shm {
namespace {

// Of the heap's unused end, bytes that are not given back.
[[maybe_unused]] constexpr int kKeptBytes = 64 * 1024 * 1024;
// A block of at least so many bytes is mapped for itself, and unmapped when it is freed. Above the
// largest slice, and so above any chunk of a body.
[[maybe_unused]] constexpr int kMappedBytes = 8 * 1024 * 1024;

// Who starts the process has decided.
bool Decided() {
  const char* own = std::getenv("SHMESH_KEEP_FREED_MEMORY");
  if (own != nullptr && std::strcmp(own, "0") == 0) return true;
  if (std::getenv("MALLOC_TRIM_THRESHOLD_") != nullptr) return true;
  if (std::getenv("MALLOC_MMAP_THRESHOLD_") != nullptr) return true;
  const char* tunables = std::getenv("GLIBC_TUNABLES");
  return tunables != nullptr && std::strstr(tunables, "glibc.malloc.") != nullptr;
}

}  // namespace

void KeepFreedMemory() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (Decided()) return;
#ifdef __GLIBC__
    mallopt(M_TRIM_THRESHOLD, kKeptBytes);
    mallopt(M_MMAP_THRESHOLD, kMappedBytes);
#endif
  });
}

}  // namespace shm
