#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

// The name a client gives its regions. To a plain shmipc server it is only a key, and must be unique
// on the machine; to a shmesh server it says that the client is shmesh and how much a stream may
// send it before credit:
//
//     shmesh.1.<window, hex>.<32 hex digits>_buffer
namespace shm::region_name {

constexpr std::string_view kMarker = "shmesh.1.";

// Random digits: of two clients with one name a shmipc-go server would give both the first one's
// memory, and process numbers are the same in many containers.
inline void AppendHex(std::string& name, std::span<const unsigned char> random) {
  constexpr std::string_view kHex = "0123456789abcdef";
  for (const unsigned char byte : random) {
    name += kHex[byte >> 4];
    name += kHex[byte & 15];
  }
}

// What files of memory are called.
inline std::string MakePath(std::span<const unsigned char> random) {
  std::string name("/dev/shm/shmesh_");
  AppendHex(name, random);
  return name;
}

inline std::string Make(std::span<const unsigned char> random, std::uint32_t window) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string name(kMarker);
  for (int shift = 28; shift >= 0; shift -= 4) name += kHex[(window >> shift) & 15];
  name += '.';
  AppendHex(name, random);
  return name;
}

// The client's window when `name` carries the marker.
inline std::optional<std::uint32_t> Window(std::string_view name) {
  if (!name.starts_with(kMarker) || name.size() < kMarker.size() + 9) return std::nullopt;
  std::uint32_t window = 0;
  for (const char c : name.substr(kMarker.size(), 8)) {
    if (c >= '0' && c <= '9') {
      window = window << 4 | static_cast<std::uint32_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      window = window << 4 | static_cast<std::uint32_t>(c - 'a' + 10);
    } else {
      return std::nullopt;
    }
  }
  if (name[kMarker.size() + 8] != '.' || window == 0) return std::nullopt;
  return window;
}

}  // namespace shm::region_name
