#include "affinity.h"

#include <dirent.h>
#include <sched.h>

#include <cerrno>
#include <charconv>
#include <cstring>

namespace shm {

int PinProcess(std::span<const std::uint32_t> cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const std::uint32_t cpu : cpus) {
    if (cpu >= CPU_SETSIZE) return EINVAL;
    CPU_SET(cpu, &set);
  }
  // This thread first: it finds out whether the set is one.
  if (sched_setaffinity(0, sizeof set, &set) != 0) return errno;
  DIR* tasks = opendir("/proc/self/task");
  if (tasks == nullptr) return errno;
  int error = 0;
  while (const dirent* task = readdir(tasks)) {
    int thread = 0;
    const char* end = task->d_name + std::strlen(task->d_name);
    if (std::from_chars(task->d_name, end, thread).ptr != end) continue;
    // A thread that has ended meanwhile needs no processor.
    if (sched_setaffinity(thread, sizeof set, &set) != 0 && errno != ESRCH) error = errno;
  }
  closedir(tasks);
  return error;
}

}  // namespace shm
