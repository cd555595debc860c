#include <csetjmp>
#include <csignal>
#include <cstring>
#include <future>
#include <random>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "core/session.h"
#include "handshake_peer.h"
#include "session_pair.h"
#include "two_threads.h"

// A peer that cannot seal its memory, and cuts it off while we use it.
namespace shm {
namespace {

using namespace test;

constexpr std::size_t kBytes = 64 * 1024;
constexpr std::size_t kPage = 4096;

std::shared_ptr<Mapping> AdoptUnsealed(int fd, std::size_t bytes) {
  std::string error;
  auto mapping = Mapping::Adopt(UniqueFd(dup(fd)), bytes, bytes, false, error);
  CHECK_EQ(error, "");
  return mapping;
}

void Truncate(int fd, std::size_t bytes) {
  CHECK_EQ(ftruncate(fd, static_cast<off_t>(bytes)), 0);
}

struct sigaction BusHandler() {
  struct sigaction action {};
  CHECK_EQ(sigaction(SIGBUS, nullptr, &action), 0);
  return action;
}

bool SameHandler(const struct sigaction& one, const struct sigaction& other) {
  return one.sa_flags == other.sa_flags && one.sa_sigaction == other.sa_sigaction;
}

TEST(ReadsZerosWhereMemoryWasCutOff) {
  const UniqueFd fd = Memfd(kBytes, 0);
  const auto mapping = AdoptUnsealed(fd.get(), kBytes);
  std::memset(mapping->bytes().data(), 7, kBytes);
  Truncate(fd.get(), 4 * kPage);
  CHECK(!mapping->truncated());
  volatile std::byte* bytes = mapping->bytes().data();
  CHECK_EQ(std::to_integer<int>(bytes[4 * kPage - 1]), 7);
  CHECK(!mapping->truncated());
  CHECK_EQ(std::to_integer<int>(bytes[6 * kPage + 5]), 0);
  CHECK(mapping->truncated());
  // Below the page that was touched, above it, and writing.
  CHECK_EQ(std::to_integer<int>(bytes[4 * kPage]), 0);
  bytes[kBytes - 1] = std::byte{1};
  CHECK_EQ(std::to_integer<int>(bytes[kBytes - 1]), 1);
  CHECK_EQ(std::to_integer<int>(bytes[0]), 7);
}

TEST(OneTruncationDoesNotMarkOtherMemory) {
  const UniqueFd one = Memfd(kBytes, 0);
  const UniqueFd other = Memfd(kBytes, 0);
  const auto cut = AdoptUnsealed(one.get(), kBytes);
  const auto whole = AdoptUnsealed(other.get(), kBytes);
  Truncate(one.get(), 0);
  volatile std::byte* bytes = cut->bytes().data();
  CHECK_EQ(std::to_integer<int>(bytes[0]), 0);
  CHECK(cut->truncated());
  CHECK(!whole->truncated());
}

TEST(ThereIsAHandlerOnlyWhileMemoryIsUnsealed) {
  const auto before = BusHandler();
  {
    const UniqueFd sealed = Memfd(kBytes, kAllSeals);
    const auto mapping = AdoptUnsealed(sealed.get(), kBytes);
    CHECK(SameHandler(BusHandler(), before));
    const UniqueFd fd = Memfd(kBytes, 0);
    auto first = AdoptUnsealed(fd.get(), kBytes);
    CHECK(!SameHandler(BusHandler(), before));
    const auto second = AdoptUnsealed(fd.get(), kBytes);
    first.reset();
    CHECK(!SameHandler(BusHandler(), before));
  }
  CHECK(SameHandler(BusHandler(), before));
}

sigjmp_buf escape;
const void* fault_address = nullptr;

void Escape(int, siginfo_t* info, void*) {
  fault_address = info->si_addr;
  siglongjmp(escape, 1);
}

TEST(FaultsElsewhereGoToTheHandlerBefore) {
  struct sigaction test {};
  struct sigaction before {};
  test.sa_sigaction = Escape;
  test.sa_flags = SA_SIGINFO;
  CHECK_EQ(sigaction(SIGBUS, &test, &before), 0);
  const auto installed = BusHandler();
  {
    const UniqueFd guarded = Memfd(kBytes, 0);
    const auto mapping = AdoptUnsealed(guarded.get(), kBytes);
    const UniqueFd fd = Memfd(kBytes, 0);
    void* address = mmap(nullptr, kBytes, PROT_READ, MAP_SHARED, fd.get(), 0);
    CHECK(address != MAP_FAILED);
    Truncate(fd.get(), 0);
    volatile bool escaped = true;
    if (sigsetjmp(escape, 1) == 0) {
      (void)*static_cast<volatile char*>(address);
      escaped = false;
    }
    munmap(address, kBytes);
    CHECK(escaped);
    CHECK(fault_address == address);
    CHECK(!mapping->truncated());
  }
  CHECK(SameHandler(BusHandler(), installed));
  CHECK_EQ(sigaction(SIGBUS, &before, nullptr), 0);
}

// Sent or by an access: a process without a handler ends by it, as it would have without ours.
TEST(WithoutAHandlerBeforeTheProcessEnds) {
  for (const bool sent : {false, true}) {
    const UniqueFd guarded = Memfd(kBytes, 0);
    const UniqueFd fd = Memfd(kBytes, 0);
    const pid_t child = fork();
    if (child == 0) {
      signal(SIGBUS, SIG_DFL);
      const auto mapping = AdoptUnsealed(guarded.get(), kBytes);
      void* address = mmap(nullptr, kBytes, PROT_READ, MAP_SHARED, fd.get(), 0);
      if (ftruncate(fd.get(), 0) != 0) _exit(1);
      if (sent) raise(SIGBUS);
      (void)*static_cast<volatile char*>(address);
      _exit(0);
    }
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGBUS);
  }
}

TEST(RefusesMoreUnsealedMemoryThanItCanGuard) {
  const UniqueFd fd = Memfd(kPage, 0);
  std::vector<std::shared_ptr<Mapping>> mappings;
  for (std::size_t i = 0; i < TruncationGuard::kMaxGuards; i++) {
    mappings.push_back(AdoptUnsealed(fd.get(), kPage));
  }
  std::string error;
  CHECK(Mapping::Adopt(UniqueFd(dup(fd.get())), kPage, kPage, false, error) == nullptr);
  CHECK_EQ(error, "more than 1024 memories of peers that cannot seal them");
  mappings.pop_back();
  CHECK(AdoptUnsealed(fd.get(), kPage) != nullptr);
}

// A server at work while its client cuts buffers or queues to a random size, at a random moment.
struct Cut {
  explicit Cut(std::uint32_t seed) : random(seed) {
    buffers = BufferMemory(0, 256 * 1024);
    queues = QueueMemory(0);
    std::string error;
    server = Session::Open(Parts(Side::kServer), error);
    client = Session::Open(Parts(Side::kClient), error);
    CHECK_EQ(error, "");
  }
  SessionParts Parts(Side side) {
    const auto bytes = static_cast<std::size_t>(lseek(buffers.get(), 0, SEEK_END));
    return {side, Discipline::kShared, {}, AdoptUnsealed(buffers.get(), bytes),
            AdoptUnsealed(queues.get(), EventQueue::RegionBytes(64)), {}, {}, 0};
  }
  std::uint32_t Below(std::uint32_t bound) { return static_cast<std::uint32_t>(random()) % bound; }

  // Until the server notices.
  void Run() {
    const bool rings = Below(4) == 0;
    const int fd = rings ? queues.get() : buffers.get();
    const std::size_t whole = static_cast<std::size_t>(lseek(fd, 0, SEEK_END));
    // Whole pages only: what is left of one is not cut off but zeroed.
    const std::size_t rest =
        rings ? 0 : Below(static_cast<std::uint32_t>(whole / kPage)) * kPage;
    const std::uint32_t delay = Below(20'000);
    auto peer = std::async(std::launch::async, [fd, rest, delay] {
      Dawdle(delay);
      Truncate(fd, rest);
    });
    for (int step = 0; step < 200 && Step(); step++) {
    }
    peer.get();
    // The last page is in use at all times, or is touched here.
    const auto region = server->parts().buffers->bytes();
    (void)*static_cast<volatile std::byte*>(&region.back());
    (void)*static_cast<volatile std::byte*>(&server->parts().queues->bytes().back());
    CHECK_EQ(DrainError(*server), "the peer truncated its memory");
  }

  bool Step() {
    if (!SendSome(*client) || !SendSome(*server)) return false;
    for (Session* session : {server.get(), client.get()}) {
      std::vector<std::uint32_t> words(2 * session->MaxEventWords());
      const std::int64_t used = session->Drain(words);
      if (used < 0) return false;
      for (std::size_t at = 0; at < static_cast<std::size_t>(used);) {
        const std::uint32_t slices = words[at + 3];
        at += 4;
        for (std::uint32_t i = 0; i < slices; i++, at += 3) CHECK(session->Release(words[at]));
      }
    }
    return true;
  }

  bool SendSome(Session& session) {
    std::vector<SliceSpan> spans;
    if (session.Allocate(1 + Below(50'000), spans) < 0) return false;
    for (const SliceSpan& span : spans) {
      std::memset(session.parts().buffers->bytes().data() + span.payload(), 5, span.bytes);
    }
    if (!spans.empty() && session.Send(1, spans)) return true;
    for (const SliceSpan& span : spans) (void)session.Release(span.slice);
    return !session.corrupt();
  }

  std::mt19937 random;
  UniqueFd buffers;
  UniqueFd queues;
  std::unique_ptr<Session> server;
  std::unique_ptr<Session> client;
};

TEST(ASessionSurvivesATruncationAtAnyMoment) {
  for (std::uint32_t seed = 0; seed < (kSanitized ? 60 : 400); seed++) {
    try {
      Cut(seed).Run();
    } catch (const CheckFailed& failed) {
      throw CheckFailed("seed " + std::to_string(seed) + ": " + failed.what());
    }
  }
}

}  // namespace
}  // namespace shm
