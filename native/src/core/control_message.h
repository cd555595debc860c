#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

// Messages of the control socket, as far as the handshake needs them. Big-endian:
//
//     0        4       6         7      8
//     | length | magic | version | type | payload ...
namespace shm::control {

constexpr std::size_t kHeaderBytes = 8;
constexpr std::uint16_t kMagic = 0x7758;
constexpr std::uint8_t kVersion = 3;
// Memory in files, handed over by one message that nobody answers.
constexpr std::uint8_t kFileVersion = 2;

constexpr std::uint8_t kShareMemoryByFilePath = 0;
constexpr std::uint8_t kExchangeVersion = 4;
constexpr std::uint8_t kShareMemoryByMemfd = 5;
constexpr std::uint8_t kAckShareMemory = 6;
constexpr std::uint8_t kAckReadyReceiveFd = 7;

// Fields after the ack's header, shmesh to shmesh: u16 tag, u16 length, value. Unknown tags are
// skipped.
constexpr std::uint16_t kTagVersion = 1;  // u16: of the discipline between two shmesh ends
constexpr std::uint16_t kTagWindow = 2;   // u32: bytes a stream may send before credit
constexpr std::uint16_t kDisciplineVersion = 1;

inline void PutU16(std::vector<std::byte>& out, std::uint16_t value) {
  out.push_back(static_cast<std::byte>(value >> 8));
  out.push_back(static_cast<std::byte>(value));
}

inline void PutU32(std::vector<std::byte>& out, std::uint32_t value) {
  PutU16(out, static_cast<std::uint16_t>(value >> 16));
  PutU16(out, static_cast<std::uint16_t>(value));
}

inline std::uint16_t GetU16(std::span<const std::byte> in, std::size_t at) {
  return static_cast<std::uint16_t>((std::to_integer<unsigned>(in[at]) << 8) |
                                    std::to_integer<unsigned>(in[at + 1]));
}

inline std::uint32_t GetU32(std::span<const std::byte> in, std::size_t at) {
  return (std::uint32_t{GetU16(in, at)} << 16) | GetU16(in, at + 2);
}

inline std::vector<std::byte> Message(std::uint8_t type, std::span<const std::byte> payload = {},
                                      std::uint8_t version = kVersion) {
  std::vector<std::byte> out;
  PutU32(out, static_cast<std::uint32_t>(kHeaderBytes + payload.size()));
  PutU16(out, kMagic);
  out.push_back(std::byte{version});
  out.push_back(std::byte{type});
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

}  // namespace shm::control
