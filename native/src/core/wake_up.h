#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "mapping.h"

namespace shm {

// The eventfds two ends wake each other by. Both hold the same open file: whatever one end does to
// it, fill its counter or let its calls block, it has done to the other's.

UniqueFd MakeEventFd() noexcept;
// Whether what a peer sent may be one: no file, pipe, socket or device, whose calls may block in ways
// of their own.
bool MayBeEventFd(int fd) noexcept;
// Adds to the counter. Does not block unless the peer makes it: see WakeUpWriter.
void WriteWakeUp(int fd) noexcept;
// Clears the counter. False when it was clear. Never blocks, from Linux 5.8 on.
bool TakeWakeUp(int fd) noexcept;

// Writes wake-ups, and gets out of a write that a hostile peer has made block. No call writes to an
// eventfd and certainly returns, whatever its flags are by then; so another thread looks at intervals
// whether a write meets a full counter, which no honest peer lets happen, and empties it.
//
// Threads    Write on one, Look on another, the rest on any.
class WakeUpWriter {
 public:
  // Between two looks, while there are users: for so long a peer may stop the writing thread, once.
  static constexpr std::chrono::milliseconds kInterval{100};

  // False when the peer had filled the counter meanwhile.
  [[nodiscard]] bool Write(int fd);
  void Look();

  // Sessions that write by it.
  void Join();
  void Leave();
  bool used();

 private:
  std::mutex mutex_;
  int fd_ = -1;         // being written to
  bool freed_ = false;  // the counter was full
  std::size_t users_ = 0;
};

}  // namespace shm
