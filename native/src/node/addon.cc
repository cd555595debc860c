#include "addon.h"

#include <sys/mman.h>
#include <unistd.h>

#include <vector>

#include "core/affinity.h"
#include "doorman_object.h"
#include "inspect.h"
#include "session_object.h"
#include "socket_send.h"

namespace shm {
namespace {

// probe(): why this kernel cannot do sealed shared memory, or an empty string.
Napi::Value Probe(const Napi::CallbackInfo& info) {
  std::string error;
  Mapping::Create("shmesh.probe", 4096, error);
  return Napi::String::New(info.Env(), error);
}

// pin(cpus): 0 or a negative errno.
Napi::Value Pin(const Napi::CallbackInfo& info) {
  const auto list = info[0].As<Napi::Array>();
  std::vector<std::uint32_t> cpus;
  for (std::uint32_t i = 0; i < list.Length(); i++) {
    cpus.push_back(list.Get(i).As<Napi::Number>().Uint32Value());
  }
  return Napi::Number::New(info.Env(), -PinProcess(cpus));
}

}  // namespace

Addon::Addon(Napi::Env env, Napi::Object exports)
    : turn_(std::make_shared<Turn>(env)),
      session_constructor_(Napi::Persistent(SessionObject::Define(env))) {
  exports.Set("Doorman", DoormanObject::Define(env));
  DefineInspection(env, exports);
  DefineSocketSend(env, exports);
  exports.Set("pin", Napi::Function::New<Pin>(env, "pin"));
  exports.Set("probe", Napi::Function::New<Probe>(env, "probe"));
}

NODE_API_ADDON(Addon)

}  // namespace shm
