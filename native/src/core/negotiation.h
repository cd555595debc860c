#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "handshake.h"

namespace shm {

// A client's message that decides what is spoken from here on, and what came with it.
struct Offer {
  UniqueFd socket;
  std::uint8_t version;
  std::uint8_t type;
  std::vector<std::byte> input;  // its header, which nobody has checked
  std::vector<UniqueFd> fds;
};

using StartProtocol = std::unique_ptr<Handshake> (*)(Offer offer, const ServerOptions& options);

// The handshake of a client whose message has this version and type.
struct Protocol {
  std::uint8_t version;
  std::uint8_t type;
  bool introduced;  // it comes after both ends have sent ExchangeVersion; else it is the first
  StartProtocol start;
};

// What is spoken here: shmipc 2 with memory in files, shmipc 3 with memfds or files.
std::span<const Protocol> SpokenProtocols() noexcept;

// Server side. Answers ExchangeVersion of version 3 unless a protocol begins with it, and hands the
// socket to the protocol of the client's first other message. `protocols` outlives the handshake.
std::unique_ptr<Handshake> Negotiate(UniqueFd socket, const ServerOptions& options,
                                     std::span<const Protocol> protocols);

}  // namespace shm
