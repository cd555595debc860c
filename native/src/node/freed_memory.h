#pragma once

namespace shm {

// Has malloc keep what large Buffers leave behind, once per process, instead of giving it back to
// the kernel and faulting it in again with the next one. See docs/internals/freed-memory.md.
void KeepFreedMemory();

}  // namespace shm
