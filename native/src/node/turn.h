#pragma once

#include <napi.h>
#include <uv.h>

#include <vector>

#include "loop_handles.h"

namespace shm {

class SessionObject;

// The end of an event loop's turn, when it is about to sleep. Sessions with something to do register
// for it: events that arrived meanwhile are taken without a wake-up, and all that was published in
// the turn costs the peer one.
class Turn {
 public:
  explicit Turn(Napi::Env env) : env_(env), handles_(env) {}

  // `session` is visited at the end of this turn, once.
  void Enlist(SessionObject* session);
  void Forget(SessionObject* session);
  // Inside a visit: whether nothing but the session visited has something to do, as far as the loop
  // knows.
  bool Idle() const;
  LoopHandles& handles() noexcept { return handles_; }
  Napi::Env env() const noexcept { return env_; }

 private:
  bool Prepare();
  void OnEnd();

  Napi::Env env_;
  LoopHandles handles_;
  uv_prepare_t* prepare_ = nullptr;
  uv_idle_t* idle_ = nullptr;  // active: the loop polls without sleeping
  std::vector<SessionObject*> enlisted_;
  std::vector<SessionObject*> visiting_;
};

}  // namespace shm
