#include "call.h"

namespace shm {

bool CallScript(Napi::Env env, napi_value receiver, napi_value function,
                std::initializer_list<napi_value> arguments, bool from_loop) {
  // The C interface: the wrapper's exceptions cannot be made in a thread that is being terminated.
  const napi_status status =
      from_loop ? napi_make_callback(env, nullptr, receiver, function, arguments.size(),
                                     arguments.begin(), nullptr)
                : napi_call_function(env, receiver, function, arguments.size(), arguments.begin(),
                                     nullptr);
  if (status == napi_ok) return true;
  bool thrown = false;
  napi_value error = nullptr;
  if (napi_is_exception_pending(env, &thrown) != napi_ok || !thrown ||
      napi_get_and_clear_last_exception(env, &error) != napi_ok) {
    return false;
  }
  return napi_fatal_exception(env, error) == napi_ok;
}

}  // namespace shm
