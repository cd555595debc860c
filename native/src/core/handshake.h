#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "buffer_region.h"
#include "mapping.h"
#include "memory_file.h"
#include "wake_up.h"

namespace shm {

// What both ends hold once a handshake is done.
struct SessionParts {
  Side side = Side::kClient;
  Discipline discipline = Discipline::kShared;
  UniqueFd control;  // the Unix socket
  std::shared_ptr<Mapping> buffers;
  std::shared_ptr<Mapping> queues;
  UniqueFd wake_us;    // eventfd the peer writes; absent with peers that are not shmesh
  UniqueFd wake_peer;  // eventfd we write
  std::uint32_t peer_window = 0;  // bytes a stream may send before the peer gives credit; 0: none
  std::uint8_t version = 3;       // of the protocol
  std::vector<FileName> files{};  // removed when the peer has mapped them, with the session at last
  std::shared_ptr<WakeUpWriter> writer{};  // what writes wake_peer, when somebody looks after it
};

enum class HandshakeState : std::uint8_t { kNeedsInput, kDone, kFailed };

// One side of the shmipc handshake, one step per readable socket. Nothing blocks.
//
//   client                              server
//   version 3                     ->
//                                 <-    version 3
//   metadata: two region names    ->
//                                 <-    ready for descriptors
//   one byte + memfds             ->
//                                 <-    ack; to a marked client with TLVs and two eventfds
//
// A shmesh client marks itself by its region name, a shmesh server by what follows the ack's
// header; either end alone sees plain shmipc.
//
// With memory in files the metadata has their paths and is acknowledged at once; in version 2 it is
// the first message and the last. Such memory is shared by shmipc's own rules.
class Handshake {
 public:
  virtual ~Handshake() = default;
  virtual HandshakeState Step() = 0;
  virtual SessionParts& parts() noexcept { return parts_; }
  virtual const std::string& error() const noexcept { return error_; }

 protected:
  explicit Handshake(UniqueFd socket) noexcept { parts_.control = std::move(socket); }
  // Reads until `wanted` bytes are in input_. kDone when they are.
  HandshakeState Fill(std::size_t wanted);
  bool Send(std::span<const std::byte> bytes, std::span<const int> fds = {});
  // Checks the 8 bytes at the start of input_, of parts_.version: `length` is the whole message's.
  bool ReadHeader(std::uint8_t type, std::size_t min_bytes, std::size_t max_bytes,
                  std::size_t& length);
  HandshakeState Fail(std::string error);

  SessionParts parts_;
  std::vector<std::byte> input_;
  std::vector<UniqueFd> fds_;
  std::string error_;
};

// How a client hands its memory over.
enum class Sharing : std::uint8_t {
  kMemfd,   // as descriptors
  kFile,    // as files, protocol 3
  kFileV2,  // as files, protocol 2: whether the server took them shows only when it closes the socket
};

struct ClientOptions {
  std::uint64_t memory = 0;          // bytes for slices, both directions together
  std::uint32_t queue_capacity = 0;  // events per direction
  std::uint32_t window = 0;          // bytes the peer may send on a stream before we give credit
  Sharing sharing = Sharing::kMemfd;
};

// Creates the memory, then speaks. nullptr with `error` set when the kernel refuses memory.
std::unique_ptr<Handshake> StartClientHandshake(UniqueFd socket, const ClientOptions& options,
                                                std::string& error);

struct ServerOptions {
  std::uint32_t window = 0;      // bytes a client's stream may send before we give credit
  std::uint64_t max_memory = 0;  // most bytes for slices a client may bring
};

// Of whatever protocol the client begins with: see negotiation.h.
std::unique_ptr<Handshake> StartServerHandshake(UniqueFd socket, const ServerOptions& options);

}  // namespace shm
