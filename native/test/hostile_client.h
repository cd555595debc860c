#pragma once

#include <cstdint>
#include <string>

namespace shm::test {

// `count` clients, one after the other, of the server at `path`: handshakes cut short or with other
// descriptors, or a session, shmesh's or plain shmipc's, used for honest messages and for anything
// else: any control message, any word of the memory, holes, truncation. None of them checks what the
// server does but that it lets go of the socket. Returns false when it did not, with the reason on
// standard error.
bool PlayHostileClients(const std::string& path, std::uint32_t first_seed, std::uint32_t count);

}  // namespace shm::test
