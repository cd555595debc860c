#pragma once

#include <cstdint>
#include <span>

namespace shm {

// Lets every thread of this process run on these processors only; threads made later inherit it.
// Returns 0 or an errno: EINVAL when none of them exists or may be used, or a number is not one.
int PinProcess(std::span<const std::uint32_t> cpus);

}  // namespace shm
