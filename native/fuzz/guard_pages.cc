#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

// Shared memory between two pages nobody may touch: mappings are packed, so that an access past the
// end of one would meet another. mmap and munmap of the core are redirected here, see the linker's
// --wrap.
extern "C" void* __real_mmap(void* address, std::size_t bytes, int protection, int flags, int fd,
                             off_t offset);
extern "C" int __real_munmap(void* address, std::size_t bytes);

namespace {

constexpr std::size_t kPage = 4096;

std::size_t Pages(std::size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

}  // namespace

extern "C" void* __wrap_mmap(void* address, std::size_t bytes, int protection, int flags, int fd,
                             off_t offset) {
  // What a SIGBUS handler puts into a mapping has its place.
  if ((flags & MAP_FIXED) != 0) return __real_mmap(address, bytes, protection, flags, fd, offset);
  void* room = __real_mmap(nullptr, Pages(bytes) + 2 * kPage, PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room == MAP_FAILED) return room;
  return __real_mmap(static_cast<char*>(room) + kPage, bytes, protection, flags | MAP_FIXED, fd,
                     offset);
}

extern "C" int __wrap_munmap(void* address, std::size_t bytes) {
  return __real_munmap(static_cast<char*>(address) - kPage, Pages(bytes) + 2 * kPage);
}
