#include "loop_handles.h"

namespace shm {
namespace {

// What a closing handle's data points to: its owner may be gone by the time libuv is done.
struct Closing {
  LoopHandles* handles;
  void (*free)(uv_handle_t*);
};

}  // namespace

LoopHandles::LoopHandles(Napi::Env env) {
  napi_get_uv_event_loop(env, &loop_);
  napi_add_async_cleanup_hook(env, OnEnd, this, &hook_);
}

void LoopHandles::Track(uv_handle_t* handle, void (*free)(uv_handle_t*)) {
  open_.emplace(handle, Entry{free, {}});
}

void LoopHandles::BeforeClose(void* handle, std::function<void()> action) {
  open_.at(static_cast<uv_handle_t*>(handle)).before_close = std::move(action);
}

void LoopHandles::Close(void* handle) {
  const auto found = open_.find(static_cast<uv_handle_t*>(handle));
  if (found == open_.end()) return;
  uv_handle_t* closing = found->first;
  const Entry entry = std::move(found->second);
  open_.erase(found);
  closing_++;
  if (entry.before_close) entry.before_close();
  closing->data = new Closing{this, entry.free};
  uv_close(closing, [](uv_handle_t* closed) {
    auto* end = static_cast<Closing*>(closed->data);
    LoopHandles* handles = end->handles;
    end->free(closed);
    delete end;
    handles->Closed();
  });
}

void LoopHandles::Closed() {
  closing_--;
  if (ending_ && closing_ == 0) napi_remove_async_cleanup_hook(hook_);
}

void LoopHandles::OnEnd(napi_async_cleanup_hook_handle, void* self) {
  auto* handles = static_cast<LoopHandles*>(self);
  handles->ending_ = true;
  while (!handles->open_.empty()) handles->Close(handles->open_.begin()->first);
  if (handles->closing_ == 0) napi_remove_async_cleanup_hook(handles->hook_);
}

}  // namespace shm
