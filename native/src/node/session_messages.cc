// Messages of a session: slices allocated, filled, published, released.
#include <algorithm>
#include <cstring>

#include "session_object.h"

namespace shm {

// allocate(bytes): spans received; [payload offset, bytes] of each in the spans array.
Napi::Value SessionObject::Allocate(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!session_) return Napi::Number::New(env, 0);
  Abandon();
  if (session_->Allocate(info[0].As<Napi::Number>().Uint32Value(), spans_) < 0) {
    spans_.clear();
    Corrupt();
    return Napi::Number::New(env, 0);
  }
  for (std::size_t i = 0; i < spans_.size(); i++) {
    span_words_[2 * i] = spans_[i].payload();
    span_words_[2 * i + 1] = spans_[i].bytes;
  }
  return Napi::Number::New(env, static_cast<double>(spans_.size()));
}

// send(stream): publishes the slices of the last allocate, with the bytes the spans array says.
// False when the ring is full; they are freed then.
Napi::Value SessionObject::Send(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!session_ || spans_.empty()) return Napi::Boolean::New(env, false);
  for (std::size_t i = 0; i < spans_.size(); i++) spans_[i].bytes = span_words_[2 * i + 1];
  const bool sent = session_->Send(info[0].As<Napi::Number>().Uint32Value(), spans_);
  if (sent) spans_.clear();
  Abandon();
  if (sent) Published();
  return Napi::Boolean::New(env, sent);
}

// hold(bytes): the header offset of one slice with room for as many, 0 when none is to be had.
Napi::Value SessionObject::Hold(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!session_) return Napi::Number::New(env, 0);
  const std::uint32_t slice = session_->Hold(info[0].As<Napi::Number>().Uint32Value());
  if (slice == 0 && session_->corrupt()) Corrupt();
  return Napi::Number::New(env, slice);
}

// sendHeld(stream, status, count): publishes `count` held slices, [slice, bytes] of each in the
// spans array. False when the ring is full; they are still held then.
Napi::Value SessionObject::SendHeld(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!session_) return Napi::Boolean::New(env, false);
  const std::size_t count = info[2].As<Napi::Number>().Uint32Value();
  held_.clear();
  for (std::size_t i = 0; i < std::min(count, span_words_.size() / 2); i++) {
    held_.push_back({span_words_[2 * i], span_words_[2 * i + 1]});
  }
  const auto status = static_cast<Status>(info[1].As<Napi::Number>().Uint32Value());
  const Sent sent = session_->SendHeld(info[0].As<Napi::Number>().Uint32Value(), status, held_);
  if (sent == Sent::kMisused) {
    throw Napi::Error::New(env, "sent slices that are not held, are lent, or hold fewer bytes");
  }
  if (sent == Sent::kYes) Published();
  return Napi::Boolean::New(env, sent == Sent::kYes);
}

// write(stream, bytes, offset, length): allocates, copies and publishes. Returns the bytes taken:
// fewer than asked, or 0, when slices are short or the ring is full.
Napi::Value SessionObject::Write(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!session_) return Napi::Number::New(env, 0);
  std::uint8_t* data = nullptr;
  napi_get_typedarray_info(env, info[1], nullptr, nullptr, reinterpret_cast<void**>(&data), nullptr,
                           nullptr);
  const std::uint32_t offset = info[2].As<Napi::Number>().Uint32Value();
  const std::uint32_t length = info[3].As<Napi::Number>().Uint32Value();
  Abandon();
  const std::int64_t covered = session_->Allocate(length, spans_);
  if (covered < 0) {
    Corrupt();
    return Napi::Number::New(env, 0);
  }
  if (covered == 0) return Napi::Number::New(env, 0);
  const std::uint8_t* from = data + offset;
  std::byte* region = session_->parts().buffers->bytes().data();
  for (const SliceSpan& span : spans_) {
    std::memcpy(region + span.payload(), from, span.bytes);
    from += span.bytes;
  }
  const bool sent = session_->Send(info[0].As<Napi::Number>().Uint32Value(), spans_);
  if (sent) spans_.clear();
  Abandon();
  if (!sent) return Napi::Number::New(env, 0);
  Published();
  return Napi::Number::New(env, static_cast<double>(covered));
}

// signal(stream, status, value): false when the ring is full.
Napi::Value SessionObject::Signal(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!session_) return Napi::Boolean::New(env, true);
  const bool sent = session_->Signal(info[0].As<Napi::Number>().Uint32Value(),
                                     static_cast<Status>(info[1].As<Napi::Number>().Uint32Value()),
                                     info[2].As<Napi::Number>().Uint32Value());
  if (sent) Published();
  return Napi::Boolean::New(env, sent);
}

Napi::Value SessionObject::Release(const Napi::CallbackInfo& info) {
  if (session_ && !session_->Release(info[0].As<Napi::Number>().Uint32Value())) {
    throw Napi::Error::New(info.Env(), "released a slice that is not held");
  }
  return info.Env().Undefined();
}

// intact(): whether bytes copied out of the memory were the peer's.
Napi::Value SessionObject::Intact(const Napi::CallbackInfo& info) {
  const bool intact = session_ && session_->CheckIntact();
  if (session_ && !intact) Corrupt();
  return Napi::Boolean::New(info.Env(), intact);
}

// Slices allocated and not sent go back to the stack.
void SessionObject::Abandon() {
  for (const SliceSpan& span : spans_) (void)session_->Release(span.slice);
  spans_.clear();
}

}  // namespace shm
