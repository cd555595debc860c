#pragma once

#include <napi.h>

#include "core/session.h"

namespace shm {

// A session's counters as a plain object; native/index.ts has its type.
Napi::Object DescribeSession(Napi::Env env, Session& session);

}  // namespace shm
