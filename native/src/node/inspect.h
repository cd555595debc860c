#pragma once

#include <napi.h>

namespace shm {

// What `shmesh inspect` needs and JavaScript cannot do; native/index.ts types it.
void DefineInspection(Napi::Env env, Napi::Object exports);

}  // namespace shm
