#pragma once

#include <napi.h>
#include <uv.h>

#include <functional>
#include <unordered_map>

namespace shm {

// The libuv handles of one environment (main thread or worker). libuv aborts the process when a
// worker's loop ends with an open handle, so all of them are closed by a cleanup hook if their owner
// did not.
class LoopHandles {
 public:
  explicit LoopHandles(Napi::Env env);
  LoopHandles(const LoopHandles&) = delete;
  LoopHandles& operator=(const LoopHandles&) = delete;

  uv_loop_t* loop() const noexcept { return loop_; }
  bool ending() const noexcept { return ending_; }

  // Allocates a handle for an init function such as uv_poll_init; Close frees it. nullptr when
  // `init` fails.
  template <typename Handle>
  Handle* Open(void* data, const std::function<int(uv_loop_t*, Handle*)>& init) {
    auto* handle = new Handle{};
    if (ending_ || init(loop_, handle) != 0) {
      delete handle;
      return nullptr;
    }
    handle->data = data;
    // Sockets and listeners keep the process alive, not these.
    uv_unref(reinterpret_cast<uv_handle_t*>(handle));
    Track(reinterpret_cast<uv_handle_t*>(handle),
          [](uv_handle_t* closed) { delete reinterpret_cast<Handle*>(closed); });
    return handle;
  }
  // `action` runs when `handle` is closed, whoever closes it, before libuv hears of it.
  void BeforeClose(void* handle, std::function<void()> action);
  // No callback runs on the handle after this. Safe with nullptr and with a closed handle.
  void Close(void* handle);

 private:
  struct Entry {
    void (*free)(uv_handle_t*);
    std::function<void()> before_close;
  };

  void Track(uv_handle_t* handle, void (*free)(uv_handle_t*));
  static void OnEnd(napi_async_cleanup_hook_handle hook, void* self);
  void Closed();

  uv_loop_t* loop_ = nullptr;
  std::unordered_map<uv_handle_t*, Entry> open_;
  std::size_t closing_ = 0;
  bool ending_ = false;
  napi_async_cleanup_hook_handle hook_ = nullptr;
};

}  // namespace shm
