#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/session.h"

namespace shm::test {

// One received event, as Drain lays it out.
struct Received {
  std::uint32_t stream;
  std::uint32_t status;
  std::uint32_t value;
  std::vector<ReceivedSlice> slices;
};

// Both ends of a session on one mapping: where one end's misdeeds are easy to commit, and where
// ThreadSanitizer sees both sides touch the same addresses.
struct SessionPair {
  // Memory is unsealed as a plain shmipc client's, when `sealed` is false.
  explicit SessionPair(std::uint64_t memory = 1024 * 1024, std::uint32_t queue_capacity = 64,
                       Discipline discipline = Discipline::kOwned, bool sealed = true);

  std::byte* region() const { return buffers->bytes().data(); }
  // Of the ring `from` sends on.
  std::byte* ring(Side from) const;

  // What a hostile client writes: a word of the region, a slice's flags, an event on its ring.
  void SetWord(std::size_t offset, std::uint32_t value) const;
  void SetFlags(std::uint32_t slice, std::uint8_t flags) const;
  void PushRaw(std::uint32_t offset, std::uint32_t status = 0, Side from = Side::kClient) const;

  std::shared_ptr<Mapping> buffers;
  std::shared_ptr<Mapping> queues;
  std::unique_ptr<Session> client;
  std::unique_ptr<Session> server;
};

// Allocates, fills with Pattern(seed) and sends; fails when it cannot send it all.
std::vector<SliceSpan> SendMessage(Session& session, std::uint32_t stream, std::uint32_t bytes,
                                   std::uint32_t seed = 0);
// Everything that is in the ring. Fails when the session is corrupt.
std::vector<Received> DrainAll(Session& session);
// The error of a Drain that must fail.
std::string DrainError(Session& session);
// Whether the slices hold Pattern(seed), all in all `bytes` of it.
bool Holds(const Session& session, const Received& message, std::uint32_t bytes,
           std::uint32_t seed);
void ReleaseAll(Session& session, const Received& message);

// 64 KiB in which no two seeds below 64 Ki look alike, then the same again.
const std::byte* Pattern(std::uint32_t seed);
constexpr std::uint32_t kPatternBytes = 64 * 1024;

// allocated = freed + held + lent in each list the session allocates from.
void CheckAccounts(const Session& session);
std::uint64_t Lent(const Session& session);
std::uint64_t Held(const Session& session);
std::uint64_t Borrowed(const Session& session);

}  // namespace shm::test
