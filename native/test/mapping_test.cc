#include "core/mapping.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string>

#include "check.h"
#include "peer.h"

namespace shm {
namespace {

using namespace test;

constexpr std::size_t kBytes = 8192;

std::shared_ptr<Mapping> Create(std::size_t bytes = kBytes) {
  std::string error;
  auto mapping = Mapping::Create("a name", bytes, error);
  CHECK_EQ(error, "");
  return mapping;
}

std::string Refusal(UniqueFd fd, bool require_seals = true) {
  std::string error;
  CHECK(Mapping::Adopt(std::move(fd), kBytes, kBytes, require_seals, error) == nullptr);
  return error;
}

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }

TEST(CreatesZeroedMemoryOfTheSize) {
  const auto mapping = Create(12'345);
  CHECK_EQ(mapping->bytes().size(), 12'345u);
  CHECK(std::ranges::all_of(mapping->bytes(), [](std::byte byte) { return byte == std::byte{0}; }));
  struct stat status {};
  CHECK_EQ(fstat(mapping->fd(), &status), 0);
  CHECK_EQ(status.st_size, 12'345);
}

TEST(CreatesMemoryThatNobodyCanResize) {
  const auto mapping = Create();
  CHECK_EQ(fcntl(mapping->fd(), F_GET_SEALS), kAllSeals);
  CHECK(ftruncate(mapping->fd(), kBytes / 2) != 0);
  CHECK(ftruncate(mapping->fd(), kBytes * 2) != 0);
  CHECK(fcntl(mapping->fd(), F_ADD_SEALS, F_SEAL_WRITE) != 0);
}

TEST(DescriptorsDoNotOutliveAnExec) {
  const auto mapping = Create();
  CHECK_EQ(fcntl(mapping->fd(), F_GETFD), FD_CLOEXEC);
}

TEST(AForkedChildDoesNotHaveTheMemory) {
  const auto mapping = Create();
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    // ENOMEM: the range is not mapped.
    const bool gone = msync(mapping->bytes().data(), kBytes, MS_ASYNC) != 0 && errno == ENOMEM;
    _exit(gone ? 0 : 1);
  }
  int status = 0;
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(SaysWhichCallRefusedMemory) {
  std::string error;
  CHECK(Mapping::Create("empty", 0, error) == nullptr);
  CHECK_EQ(error, "mmap: Invalid argument");
  CHECK(Mapping::Create("huge", SIZE_MAX / 2 + 1, error) == nullptr);
  CHECK_EQ(error, "ftruncate: Invalid argument");
  CHECK(Mapping::Create(std::string(300, 'x'), kBytes, error) == nullptr);
  CHECK_EQ(error, "memfd_create: Invalid argument");
}

TEST(AdoptsTheSameMemory) {
  const auto created = Create();
  std::string error;
  const auto adopted = Mapping::Adopt(UniqueFd(dup(created->fd())), kBytes, kBytes, true, error);
  CHECK_EQ(error, "");
  CHECK(adopted->bytes().data() != created->bytes().data());
  created->bytes()[100] = std::byte{7};
  adopted->bytes()[kBytes - 1] = std::byte{8};
  CHECK(adopted->bytes()[100] == std::byte{7});
  CHECK(created->bytes()[kBytes - 1] == std::byte{8});
}

TEST(GoesWithItsLastOwner) {
  auto first = Create();
  const int fd = first->fd();
  std::shared_ptr<Mapping> second = first;
  first.reset();
  CHECK(IsOpen(fd));
  second->bytes()[0] = std::byte{1};
  second.reset();
  CHECK(!IsOpen(fd));
}

TEST(ClosesTheDescriptorItRefuses) {
  UniqueFd fd = Memfd(kBytes, F_SEAL_SEAL);
  const int number = fd.get();
  Refusal(std::move(fd));
  CHECK(!IsOpen(number));
}

TEST(RefusesMemoryThatCanBeResized) {
  const std::string unsealed = "the peer's memory is not sealed against resizing";
  CHECK_EQ(Refusal(Memfd(kBytes, 0)), unsealed);
  CHECK_EQ(Refusal(Memfd(kBytes, F_SEAL_SEAL)), unsealed);
  CHECK_EQ(Refusal(Memfd(kBytes, F_SEAL_GROW | F_SEAL_SEAL)), unsealed);
  CHECK_EQ(Refusal(Memfd(kBytes, F_SEAL_SHRINK | F_SEAL_SEAL)), unsealed);
  // Who may still add seals may take writing away from us.
  CHECK_EQ(Refusal(Memfd(kBytes, F_SEAL_SHRINK | F_SEAL_GROW)), unsealed);
}

TEST(TakesUnsealedMemoryWhereThePeerCannotSeal) {
  std::string error;
  CHECK(Mapping::Adopt(Memfd(kBytes, F_SEAL_SEAL), kBytes, kBytes, false, error) != nullptr);
  CHECK_EQ(error, "");
}

TEST(RefusesMemoryThatCannotBeWritten) {
  CHECK_EQ(Refusal(Memfd(kBytes, kAllSeals | F_SEAL_WRITE)),
           "the peer's memory is sealed against writing");
  CHECK_EQ(Refusal(Memfd(kBytes, F_SEAL_WRITE), false),
           "the peer's memory is sealed against writing");
  const UniqueFd writable = Memfd(kBytes, kAllSeals);
  const std::string path = "/proc/self/fd/" + std::to_string(writable.get());
  CHECK_EQ(Refusal(UniqueFd(open(path.c_str(), O_RDONLY | O_CLOEXEC))), "mmap: Permission denied");
}

TEST(RefusesSizesOutsideTheBounds) {
  CHECK_EQ(Refusal(Memfd(kBytes - 1, kAllSeals)),
           "the peer's memory has 8191 bytes, outside [8192, 8192]");
  CHECK_EQ(Refusal(Memfd(kBytes + 1, kAllSeals)),
           "the peer's memory has 8193 bytes, outside [8192, 8192]");
  CHECK_EQ(Refusal(Memfd(0, kAllSeals)), "the peer's memory has 0 bytes, outside [8192, 8192]");
}

TEST(RefusesDescriptorsThatAreNotMemory) {
  const std::string not_memory = "the peer's descriptor is not memory";
  for (const bool seals : {true, false}) {
    auto [one, other] = SocketPair();
    CHECK_EQ(Refusal(std::move(one), seals), not_memory);
    std::array<int, 2> pipe_fds{};
    CHECK_EQ(pipe2(pipe_fds.data(), O_CLOEXEC), 0);
    const UniqueFd read_end(pipe_fds[0]);
    CHECK_EQ(Refusal(UniqueFd(pipe_fds[1]), seals), not_memory);
    CHECK_EQ(Refusal(UniqueFd(open("/proc", O_RDONLY | O_CLOEXEC)), seals), not_memory);
    CHECK_EQ(Refusal(UniqueFd(open("/dev/zero", O_RDWR | O_CLOEXEC)), seals), not_memory);
    // A file on a disk, or on a file system that a process serves.
    CHECK_EQ(Refusal(UniqueFd(open("/proc/self/exe", O_RDONLY | O_CLOEXEC)), seals), not_memory);
    CHECK_EQ(Refusal(UniqueFd(), seals), not_memory);
  }
}

TEST(AUniqueFdHasOneOwner) {
  UniqueFd first = Memfd(1, 0);
  const int fd = first.get();
  UniqueFd second(std::move(first));
  CHECK_EQ(second.get(), fd);
  UniqueFd third = Memfd(1, 0);
  const int replaced = third.get();
  third = std::move(second);
  CHECK_EQ(third.get(), fd);
  CHECK(!IsOpen(replaced));
  const int released = third.Release();
  CHECK(!third);
  CHECK(IsOpen(released));
  close(released);
}

}  // namespace
}  // namespace shm
