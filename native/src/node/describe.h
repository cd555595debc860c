#pragma once

#include <napi.h>

#include "core/session.h"

namespace shm {

// The slices somebody has, at most `most`; native/index.ts types them.
Napi::Array DescribeHolders(Napi::Env env, Session& session, std::size_t most);

// A session's counters as a plain object; native/index.ts has its type.
Napi::Object DescribeSession(Napi::Env env, Session& session);

}  // namespace shm
