// The session's memory as ArrayBuffers. Each keeps the mapping until it is collected or detached.
#include "session_object.h"

namespace shm {
namespace {

Napi::ArrayBuffer View(Napi::Env env, const std::shared_ptr<Mapping>& mapping,
                       std::span<std::byte> bytes) {
  auto held = std::make_unique<std::shared_ptr<Mapping>>(mapping);
  return Napi::ArrayBuffer::New(
      env, bytes.data(), bytes.size(),
      [](Napi::BasicEnv, void*, std::shared_ptr<Mapping>* kept) { delete kept; }, held.release());
}

}  // namespace

Napi::Value SessionObject::Memory(const Napi::CallbackInfo& info) {
  if (memory_.IsEmpty()) {
    const auto& mapping = session_->parts().buffers;
    memory_ = Napi::Persistent(View(info.Env(), mapping, mapping->bytes()));
  }
  return memory_.Value();
}

// Whoever still holds a view of the memory sees an empty one from here on.
Napi::Value SessionObject::Unmap(const Napi::CallbackInfo& info) {
  if (!memory_.IsEmpty()) {
    memory_.Value().Detach();
    memory_.Reset();
  }
  return info.Env().Undefined();
}

// expose(offset, bytes): a part of the memory on its own, which can be taken away without the rest.
Napi::Value SessionObject::Expose(const Napi::CallbackInfo& info) {
  const std::uint32_t offset = info[0].As<Napi::Number>().Uint32Value();
  const std::uint32_t bytes = info[1].As<Napi::Number>().Uint32Value();
  if (!session_) throw Napi::Error::New(info.Env(), "the session is closed");
  const auto& mapping = session_->parts().buffers;
  const auto memory = mapping->bytes();
  if (offset > memory.size() || bytes > memory.size() - offset) {
    throw Napi::RangeError::New(info.Env(), "outside the session's memory");
  }
  return View(info.Env(), mapping, memory.subspan(offset, bytes));
}

// detach(buffer): whoever holds a view of it sees an empty one from here on.
Napi::Value SessionObject::Detach(const Napi::CallbackInfo& info) {
  info[0].As<Napi::ArrayBuffer>().Detach();
  return info.Env().Undefined();
}

}  // namespace shm
