#pragma once

#include <napi.h>
#include <uv.h>

#include <memory>
#include <vector>

#include "core/doorman.h"
#include "handed_fd.h"
#include "turn.h"

namespace shm {

// JavaScript: accepts and dials for one environment; native/index.ts types it.
class DoormanObject : public Napi::ObjectWrap<DoormanObject> {
 public:
  static Napi::Function Define(Napi::Env env);

  explicit DoormanObject(const Napi::CallbackInfo& info);
  ~DoormanObject() override;

 private:
  Napi::Value Listen(const Napi::CallbackInfo& info);
  Napi::Value StopListening(const Napi::CallbackInfo& info);
  Napi::Value Connect(const Napi::CallbackInfo& info);
  Napi::Value Ref(const Napi::CallbackInfo& info);
  Napi::Value Unref(const Napi::CallbackInfo& info);
  void OnArrivals();
  void Deliver(Arrival arrival);

  std::shared_ptr<Turn> turn_;
  Napi::FunctionReference on_arrival_;
  // Of connections that arrived while the thread was being terminated.
  std::vector<HandedFd> orphans_;
  uv_async_t* async_ = nullptr;
  // After async_: its thread must be gone before the handle it signals is.
  std::unique_ptr<Doorman> doorman_;
};

}  // namespace shm
