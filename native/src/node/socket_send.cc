#include "socket_send.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstdint>

namespace shm {
namespace {

constexpr std::size_t kMaxTextBytes = 16 * 1024;
constexpr int kFlags = MSG_DONTWAIT | MSG_NOSIGNAL;

// Copies the text to `to`; returns its length.
std::size_t CopyText(napi_env env, napi_value text, char* to, std::size_t room) {
  std::size_t length = 0;
  napi_get_value_string_latin1(env, text, to, room, &length);
  return length;
}

napi_value SendNow(napi_env env, napi_callback_info info) {
  std::array<napi_value, 4> arguments;
  std::size_t count = arguments.size();
  napi_get_cb_info(env, info, &count, arguments.data(), nullptr, nullptr);
  std::int32_t fd = -1;
  napi_get_value_int32(env, arguments[0], &fd);

  // Each text is followed by a zero.
  std::array<char, kMaxTextBytes + 2> text;
  const std::size_t before = CopyText(env, arguments[1], text.data(), text.size());
  void* body = nullptr;
  std::size_t bytes = 0;
  napi_typedarray_type type{};
  ssize_t sent = 0;
  if (napi_get_typedarray_info(env, arguments[2], &type, &bytes, &body, nullptr, nullptr) !=
      napi_ok) {
    sent = send(fd, text.data(), before, kFlags);
  } else {
    char* const behind = text.data() + before;
    const std::size_t after = CopyText(env, arguments[3], behind, text.size() - before);
    std::array<iovec, 3> parts{{{text.data(), before}, {body, bytes}, {behind, after}}};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    sent = sendmsg(fd, &message, kFlags);
  }

  napi_value result = nullptr;
  napi_create_int64(env, sent > 0 ? sent : 0, &result);
  return result;
}

}  // namespace

void DefineSocketSend(Napi::Env env, Napi::Object exports) {
  napi_value function = nullptr;
  napi_create_function(env, "sendNow", NAPI_AUTO_LENGTH, SendNow, nullptr, &function);
  exports.Set("sendNow", Napi::Value(env, function));
}

}  // namespace shm
