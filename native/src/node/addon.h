#pragma once

#include <napi.h>

#include <memory>

#include "turn.h"

namespace shm {

// One instance per environment: nothing in this addon is static, so it loads in worker threads.
class Addon : public Napi::Addon<Addon> {
 public:
  Addon(Napi::Env env, Napi::Object exports);

  const std::shared_ptr<Turn>& turn() const noexcept { return turn_; }
  const Napi::FunctionReference& session_constructor() const noexcept {
    return session_constructor_;
  }

 private:
  std::shared_ptr<Turn> turn_;
  Napi::FunctionReference session_constructor_;
};

}  // namespace shm
