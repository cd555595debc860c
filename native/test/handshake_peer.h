#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/handshake.h"
#include "peer.h"

namespace shm::test {

// Small enough to be made hundreds of times.
constexpr ClientOptions kClientOptions{1024 * 1024, 64, 0x20000};
constexpr ServerOptions kServerOptions{0x30000, 1024 * 1024};

std::vector<std::byte> Header(unsigned type, std::uint32_t length = 8, unsigned version = 3,
                              unsigned magic = 0x7758);
std::vector<std::byte> Metadata(const std::string& queue, const std::string& buffer);

// Our server and a client played by the test, or the reverse.
struct Encounter {
  static Encounter WithServer(const ServerOptions& options = kServerOptions);
  static Encounter WithClient(const ClientOptions& options = kClientOptions);

  // The test's end plays its side of the handshake up to where it
  void OfferAsClient();                                  // may send metadata
  void NameRegionsAsClient(const std::string& buffer);   // may send memory
  std::string TakeMetadataAsServer();                    // has what our client names its memory
  void TakeMemoryAsServer();                             // has the two memfds, in peer.fds

  void ExpectNeedsInput();
  void ExpectDone();
  // The step fails, says why, fails again, and the peer sees the socket close.
  void ExpectRefusal(const std::string& error);

  std::unique_ptr<Handshake> ours;
  Peer peer;
};

// Names as shmipc-go and as shmesh give.
inline const std::string kPlainName = "/dev/shm/shmipc_42_buffer";
inline const std::string kMarkedName = "shmesh.1.00020000.00112233445566778899aabbccddeeff_buffer";

// Memory as a client creates it.
UniqueFd BufferMemory(int seals = kAllSeals, std::uint64_t memory = 1024 * 1024);
UniqueFd QueueMemory(int seals = kAllSeals, std::uint32_t capacity = 64);

struct Refused {
  std::vector<std::byte> bytes;
  std::string error;
};

// Headers that fit nowhere; `type` is the one that would.
std::vector<Refused> BadHeaders(unsigned type);

}  // namespace shm::test
