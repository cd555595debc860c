#pragma once

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "mapping.h"

namespace shm {

// Shared memory under a name in a tmpfs, for peers that cannot be handed descriptors. Such a file
// cannot be sealed: it is guarded as a plain peer's memory is.

// Creates `path`, which must not exist, 0600, of `bytes` zero bytes. nullptr with `error` set when
// that cannot be, or when the file system has not `expected` bytes left.
std::shared_ptr<Mapping> CreateMemoryFile(const std::string& path, std::size_t bytes,
                                          std::size_t expected, std::string& error);

// Opens a file whose name a client sent. Only a regular file in a tmpfs that `owner` owns, or this
// user when the owner is not known: a name must not lend a client the rights of this process.
UniqueFd OpenMemoryFile(const std::string& path, std::optional<uid_t> owner, std::string& error);

// Removes a name when it goes. What is mapped stays.
class FileName {
 public:
  explicit FileName(std::string path) noexcept : path_(std::move(path)) {}
  FileName(FileName&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  FileName& operator=(FileName&&) = delete;
  ~FileName();
  // It stays, and is another's to remove.
  void Keep() noexcept;

 private:
  std::string path_;
};

}  // namespace shm
