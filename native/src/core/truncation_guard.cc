#include "truncation_guard.h"

#include <csignal>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <mutex>

namespace shm {
namespace {

// Read by the handler, which may interrupt any instruction: nothing but lock-free atomics. A slot
// is in use while `begin` is not 0; it is written last and cleared first.
struct Slot {
  std::atomic<std::uintptr_t> begin{0};
  std::atomic<std::uintptr_t> end{0};
  std::atomic<bool> tripped{false};
};
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free);

std::array<Slot, TruncationGuard::kMaxGuards> slots;
// Of the mutex: everything below, and writing to slots.
std::mutex mutex;
std::size_t guards = 0;
bool installed = false;
// Written before the handler is installed, and never while it is.
struct sigaction previous {};
std::uintptr_t page_bytes = 0;

bool Repair(std::uintptr_t address) {
  for (Slot& slot : slots) {
    const auto begin = slot.begin.load(std::memory_order_acquire);
    if (begin == 0 || address < begin) continue;
    const auto end = slot.end.load(std::memory_order_relaxed);
    if (address >= end) continue;
    // Before any zero can be read.
    slot.tripped.store(true);
    const auto page = address / page_bytes * page_bytes;
    // A system call without a lock in every libc, so safe here.
    return mmap(reinterpret_cast<void*>(page), end - page, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != MAP_FAILED;
  }
  return false;
}

void PassOn(int signal, siginfo_t* info, void* context) {
  if ((previous.sa_flags & SA_SIGINFO) != 0) {
    previous.sa_sigaction(signal, info, context);
    return;
  }
  const bool sent = info->si_code <= 0;  // by kill(2), not by an access
  if (previous.sa_handler == SIG_IGN && sent) return;
  if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler(signal);
    return;
  }
  // The access is repeated when we return, and now ends the process as it would have without us.
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  sigaction(signal, &standard, nullptr);
  if (sent) raise(signal);
}

void OnBusError(int signal, siginfo_t* info, void* context) {
  const int error = errno;
  const bool repaired =
      info->si_code == BUS_ADRERR && Repair(reinterpret_cast<std::uintptr_t>(info->si_addr));
  if (!repaired) PassOn(signal, info, context);
  errno = error;
}

void Install() {
  if (installed) return;
  page_bytes = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  sigaction(SIGBUS, nullptr, &previous);
  struct sigaction ours {};
  ours.sa_sigaction = OnBusError;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  sigemptyset(&ours.sa_mask);
  installed = sigaction(SIGBUS, &ours, nullptr) == 0;
}

void Uninstall() {
  struct sigaction current {};
  sigaction(SIGBUS, nullptr, &current);
  // Whoever came after us may pass faults on to us: then we stay.
  if ((current.sa_flags & SA_SIGINFO) == 0 || current.sa_sigaction != OnBusError) return;
  sigaction(SIGBUS, &previous, nullptr);
  installed = false;
}

}  // namespace

std::unique_ptr<TruncationGuard> TruncationGuard::Watch(std::span<std::byte> mapping) {
  const std::lock_guard lock(mutex);
  for (std::size_t i = 0; i < slots.size(); i++) {
    if (slots[i].begin.load(std::memory_order_relaxed) != 0) continue;
    if (guards++ == 0) Install();
    const auto begin = reinterpret_cast<std::uintptr_t>(mapping.data());
    slots[i].end.store(begin + mapping.size(), std::memory_order_relaxed);
    slots[i].tripped.store(false, std::memory_order_relaxed);
    slots[i].begin.store(begin, std::memory_order_release);
    return std::unique_ptr<TruncationGuard>(new TruncationGuard(i));
  }
  return nullptr;
}

TruncationGuard::~TruncationGuard() {
  const std::lock_guard lock(mutex);
  slots[slot_].begin.store(0, std::memory_order_relaxed);
  if (--guards == 0) Uninstall();
}

bool TruncationGuard::tripped() const noexcept { return slots[slot_].tripped.load(); }

}  // namespace shm
