// Messages of a session: slices allocated, filled, published, released.
#include <algorithm>
#include <cstring>

#include "session_object.h"

namespace shm {

// allocate(bytes): spans received; [payload offset, bytes] of each in the spans array.
napi_value SessionObject::Allocate(const MessageCall& call) {
  if (!session_) return call.Number(0);
  Clock();
  Abandon();
  if (session_->Allocate(call.Word(0), spans_) < 0) {
    spans_.clear();
    Corrupt();
    return call.Number(0);
  }
  for (std::size_t i = 0; i < spans_.size(); i++) {
    span_words_[2 * i] = spans_[i].payload();
    span_words_[2 * i + 1] = spans_[i].bytes;
  }
  return call.Number(static_cast<std::int64_t>(spans_.size()));
}

// send(stream): publishes the slices of the last allocate, with the bytes the spans array says.
// False when the ring is full; they are freed then.
napi_value SessionObject::Send(const MessageCall& call) {
  if (!session_ || spans_.empty()) return call.Boolean(false);
  for (std::size_t i = 0; i < spans_.size(); i++) spans_[i].bytes = span_words_[2 * i + 1];
  const bool sent = session_->Send(call.Word(0), spans_);
  if (sent) spans_.clear();
  Abandon();
  if (sent) Published();
  return call.Boolean(sent);
}

// hold(bytes, most): the header offset of one slice with room for as many, 0 when none is to be had,
// or when more than `most` bytes would be in use then.
napi_value SessionObject::Hold(const MessageCall& call) {
  if (!session_) return call.Number(0);
  Clock();
  const std::uint32_t slice = session_->Hold(call.Word(0), call.Word(1));
  if (slice == 0 && session_->corrupt()) Corrupt();
  return call.Number(slice);
}

// sendHeld(stream, status, count): publishes `count` held slices, [slice, bytes] of each in the
// spans array. False when the ring is full; they are still held then.
napi_value SessionObject::SendHeld(const MessageCall& call) {
  if (!session_) return call.Boolean(false);
  const std::size_t count = call.Word(2);
  held_.clear();
  for (std::size_t i = 0; i < std::min(count, span_words_.size() / 2); i++) {
    held_.push_back({span_words_[2 * i], span_words_[2 * i + 1]});
  }
  const auto status = static_cast<Status>(call.Word(1));
  const Sent sent = session_->SendHeld(call.Word(0), status, held_);
  if (sent == Sent::kMisused) {
    throw Napi::Error::New(call.env(), "sent slices that are not held, are lent, or hold fewer bytes");
  }
  if (sent == Sent::kYes) Published();
  return call.Boolean(sent == Sent::kYes);
}

// write(stream, bytes, offset, length): allocates, copies and publishes. Returns the bytes taken:
// fewer than asked, or 0, when slices are short or the ring is full.
napi_value SessionObject::Write(const MessageCall& call) {
  if (!session_) return call.Number(0);
  std::uint8_t* data = nullptr;
  napi_get_typedarray_info(call.env(), call[1], nullptr, nullptr, reinterpret_cast<void**>(&data), nullptr,
                           nullptr);
  const std::uint32_t offset = call.Word(2);
  const std::uint32_t length = call.Word(3);
  Clock();
  Abandon();
  const std::int64_t covered = session_->Allocate(length, spans_);
  if (covered < 0) {
    Corrupt();
    return call.Number(0);
  }
  if (covered == 0) return call.Number(0);
  const std::uint8_t* from = data + offset;
  std::byte* region = session_->parts().buffers->bytes().data();
  for (const SliceSpan& span : spans_) {
    std::memcpy(region + span.payload(), from, span.bytes);
    from += span.bytes;
  }
  const bool sent = session_->Send(call.Word(0), spans_);
  if (sent) spans_.clear();
  Abandon();
  if (!sent) return call.Number(0);
  Published();
  return call.Number(covered);
}

// writeText(stream, head, body, room): publishes one slice with `head` as latin1 and `body` behind it: a
// string as UTF-8, or bytes, or nothing. `room` bytes hold both and the zero that ends a string. Returns
// the bytes taken; 0 when there is no slice or the ring is full.
napi_value SessionObject::WriteText(const MessageCall& call) {
  if (!session_) return call.Number(0);
  const std::uint32_t room = call.Word(3);
  Clock();
  Abandon();
  const std::int64_t covered = session_->Allocate(room, spans_);
  if (covered < 0) {
    Corrupt();
    return call.Number(0);
  }
  if (covered != room || spans_.size() != 1) {
    Abandon();
    return call.Number(0);
  }
  auto* to = reinterpret_cast<char*>(session_->parts().buffers->bytes().data() + spans_[0].payload());
  const napi_env env = call.env();
  std::size_t used = 0;
  napi_get_value_string_latin1(env, call[1], to, room, &used);
  std::size_t more = 0;
  // No string: then it is bytes, or nothing.
  if (napi_get_value_string_utf8(env, call[2], to + used, room - used, &more) != napi_ok) {
    void* data = nullptr;
    napi_get_typedarray_info(env, call[2], nullptr, &more, &data, nullptr, nullptr);
    more = std::min(more, room - used);
    if (more > 0) std::memcpy(to + used, data, more);
  }
  spans_[0].bytes = static_cast<std::uint32_t>(used + more);
  const bool sent = session_->Send(call.Word(0), spans_);
  if (sent) spans_.clear();
  Abandon();
  if (!sent) return call.Number(0);
  Published();
  return call.Number(static_cast<std::int64_t>(used + more));
}

// signal(stream, status, value): false when the ring is full.
napi_value SessionObject::Signal(const MessageCall& call) {
  if (!session_) return call.Boolean(true);
  const bool sent = session_->Signal(call.Word(0),
                                     static_cast<Status>(call.Word(1)),
                                     call.Word(2));
  if (sent) Published();
  return call.Boolean(sent);
}

napi_value SessionObject::Release(const MessageCall& call) {
  if (session_ && !session_->Release(call.Word(0))) {
    throw Napi::Error::New(call.env(), "released a slice that is not held");
  }
  return call.Nothing();
}

// releaseAll(slices, count): `release` of each of the first `count`.
napi_value SessionObject::ReleaseAll(const MessageCall& call) {
  if (!session_) return call.Nothing();
  void* data = nullptr;
  std::size_t length = 0;
  napi_get_typedarray_info(call.env(), call[0], nullptr, &length, &data, nullptr, nullptr);
  const auto* slices = static_cast<const std::uint32_t*>(data);
  bool all = true;
  for (std::size_t i = 0; i < std::min<std::size_t>(call.Word(1), length); i++) {
    all = session_->Release(slices[i]) && all;
  }
  if (!all) throw Napi::Error::New(call.env(), "released a slice that is not held");
  return call.Nothing();
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
