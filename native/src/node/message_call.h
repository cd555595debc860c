#pragma once

#include <napi.h>

#include <array>
#include <cstdint>

namespace shm {

// Arguments of a call that is made per message, and its results. Nothing is validated: only our own
// TypeScript calls.
class MessageCall {
 public:
  static constexpr std::size_t kMaxArguments = 4;

  MessageCall(napi_env env, const std::array<napi_value, kMaxArguments>& arguments) noexcept
      : env_(env), arguments_(arguments) {}

  napi_env env() const noexcept { return env_; }
  napi_value operator[](std::size_t index) const noexcept { return arguments_[index]; }
  std::uint32_t Word(std::size_t index) const noexcept {
    std::uint32_t value = 0;
    napi_get_value_uint32(env_, arguments_[index], &value);
    return value;
  }

  napi_value Nothing() const noexcept { return nullptr; }
  napi_value Number(std::int64_t value) const noexcept {
    napi_value result = nullptr;
    napi_create_int64(env_, value, &result);
    return result;
  }
  napi_value Boolean(bool value) const noexcept {
    napi_value result = nullptr;
    napi_get_boolean(env_, value, &result);
    return result;
  }

 private:
  napi_env env_;
  const std::array<napi_value, kMaxArguments>& arguments_;
};

// Sets `object[name]` to a function that calls `method` of `self`. It carries `self` as its data: to
// find it as the private property of `this` takes longer than most of these calls.
template <typename T, napi_value (T::*method)(const MessageCall&)>
void DefineMessageCall(Napi::Object object, T* self, const char* name) {
  napi_value function = nullptr;
  const napi_callback callback = [](napi_env env, napi_callback_info info) -> napi_value {
    std::array<napi_value, MessageCall::kMaxArguments> arguments;
    std::size_t count = arguments.size();
    void* data = nullptr;
    napi_get_cb_info(env, info, &count, arguments.data(), nullptr, &data);
    try {
      return (static_cast<T*>(data)->*method)(MessageCall(env, arguments));
    } catch (const Napi::Error& error) {
      error.ThrowAsJavaScriptException();
      return nullptr;
    }
  };
  napi_create_function(object.Env(), name, NAPI_AUTO_LENGTH, callback, self, &function);
  object.Set(name, Napi::Value(object.Env(), function));
  // Whoever keeps only the function keeps `self`, too.
  Napi::Object(object.Env(), function).Set("owner", object);
}

}  // namespace shm
