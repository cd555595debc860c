#pragma once

#include <napi.h>

#include <initializer_list>

namespace shm {

// Calls a JavaScript function, `from_loop` as a callback of the event loop, whose ticks run after.
//
// Throws nothing: what the function throws becomes 'uncaughtException', as if a timer had thrown it.
// Returns false when it could not be called, because its thread is being terminated.
bool CallScript(Napi::Env env, napi_value receiver, napi_value function,
                std::initializer_list<napi_value> arguments, bool from_loop);

}  // namespace shm
