#include "session_object.h"

#include <cstring>

#include "addon.h"
#include "call.h"
#include "describe.h"

namespace shm {
namespace {

// Passes over the ring before the loop gets its turn back.
constexpr int kMaxPasses = 8;
// A wake-up is put off to the end of the turn, but a long turn must not make the peer wait.
constexpr std::uint64_t kMaxWakeDelayNs = 100'000;

// While it lives, calls into JavaScript start at the event loop.
class LoopScope {
 public:
  explicit LoopScope(bool& flag) : flag_(flag), before_(flag) { flag_ = true; }
  LoopScope(const LoopScope&) = delete;
  LoopScope& operator=(const LoopScope&) = delete;
  ~LoopScope() { flag_ = before_; }

 private:
  bool& flag_;
  bool before_;
};

}  // namespace

Napi::Function SessionObject::Define(Napi::Env env) {
  return DefineClass(env, "NativeSession",
                     {InstanceMethod<&SessionObject::Start>("start"),
                      InstanceMethod<&SessionObject::TakeControl>("takeControl"),
                      InstanceMethod<&SessionObject::Memory>("memory"),
                      InstanceMethod<&SessionObject::Describe>("describe"),
                      InstanceMethod<&SessionObject::Allocate>("allocate"),
                      InstanceMethod<&SessionObject::Send>("send"),
                      InstanceMethod<&SessionObject::Write>("write"),
                      InstanceMethod<&SessionObject::Signal>("signal"),
                      InstanceMethod<&SessionObject::Release>("release"),
                      InstanceMethod<&SessionObject::Poll>("poll"),
                      InstanceMethod<&SessionObject::Statistics>("statistics"),
                      InstanceMethod<&SessionObject::Close>("close"),
                      InstanceMethod<&SessionObject::Unmap>("unmap")});
}

Napi::Object SessionObject::Wrap(Napi::Env env, std::unique_ptr<Session> session) {
  auto* addon = env.GetInstanceData<Addon>();
  Napi::Object object = addon->session_constructor().New({});
  SessionObject* self = Unwrap(object);
  self->session_ = std::move(session);
  self->turn_ = addon->turn();
  return object;
}

SessionObject::SessionObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

SessionObject::~SessionObject() {
  if (session_) Shut();
}

// start(words, spans, onEvents, onCorrupt, onPolling)
Napi::Value SessionObject::Start(const Napi::CallbackInfo& info) {
  auto words = info[0].As<Napi::Uint32Array>();
  auto spans = info[1].As<Napi::Uint32Array>();
  words_reference_ = Napi::Persistent(words);
  spans_reference_ = Napi::Persistent(spans);
  words_ = {words.Data(), words.ElementLength()};
  span_words_ = {spans.Data(), spans.ElementLength()};
  on_events_ = Napi::Persistent(info[2].As<Napi::Function>());
  on_corrupt_ = Napi::Persistent(info[3].As<Napi::Function>());
  on_polling_ = Napi::Persistent(info[4].As<Napi::Function>());
  const int fd = session_->parts().wake_us.get();
  if (fd >= 0) {
    poll_ = turn_->handles().Open<uv_poll_t>(
        this, [fd](uv_loop_t* loop, uv_poll_t* poll) { return uv_poll_init(loop, poll, fd); });
    if (poll_ != nullptr) {
      uv_poll_start(poll_, UV_READABLE, [](uv_poll_t* poll, int, int) {
        static_cast<SessionObject*>(poll->data)->OnWakeUp();
      });
    }
  }
  // What arrived between the handshake and now.
  Enlist();
  return info.Env().Undefined();
}

// The control socket's descriptor: the caller closes it.
Napi::Value SessionObject::TakeControl(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), session_->parts().control.Release());
}

Napi::Value SessionObject::Memory(const Napi::CallbackInfo& info) {
  if (memory_.IsEmpty()) {
    auto mapping = std::make_unique<std::shared_ptr<Mapping>>(session_->parts().buffers);
    const auto bytes = (*mapping)->bytes();
    auto buffer = Napi::ArrayBuffer::New(
        info.Env(), bytes.data(), bytes.size(),
        [](Napi::BasicEnv, void*, std::shared_ptr<Mapping>* held) { delete held; },
        mapping.release());
    memory_ = Napi::Persistent(buffer);
  }
  return memory_.Value();
}

Napi::Value SessionObject::Describe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto description = Napi::Object::New(env);
  SessionParts& parts = session_->parts();
  description.Set("client", parts.side == Side::kClient);
  description.Set("owned", parts.discipline == Discipline::kOwned);
  description.Set("peerWindow", parts.peer_window);
  description.Set("maxEventWords", static_cast<double>(session_->MaxEventWords()));
  description.Set("slices", session_->region().slices());
  return description;
}

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

// Drains the ring now: a Polling message arrived, or the control socket is about to be read.
Napi::Value SessionObject::Poll(const Napi::CallbackInfo& info) {
  if (session_ && words_.data() != nullptr) {
    session_->MarkAwake();
    awake_ = true;
    Pump();
    if (session_) Enlist();
  }
  return info.Env().Undefined();
}

Napi::Value SessionObject::Statistics(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return session_ ? DescribeSession(env, *session_) : env.Undefined();
}

// close(): the session's memory stays mapped until unmap().
Napi::Value SessionObject::Close(const Napi::CallbackInfo& info) {
  if (session_) Shut();
  return info.Env().Undefined();
}

// Whoever still holds a view of the memory sees an empty one from here on.
Napi::Value SessionObject::Unmap(const Napi::CallbackInfo& info) {
  if (!memory_.IsEmpty()) {
    memory_.Value().Detach();
    memory_.Reset();
  }
  return info.Env().Undefined();
}

// Slices allocated and not sent go back to the stack.
void SessionObject::Abandon() {
  for (const SliceSpan& span : spans_) (void)session_->Release(span.slice);
  spans_.clear();
}

void SessionObject::OnWakeUp() {
  const Napi::HandleScope scope(Env());
  const LoopScope from_loop(from_loop_);
  session_->AcknowledgeWakeUp();
  awake_ = true;  // the peer set the flag when it woke us
  Enlist();
  Pump();
}

void SessionObject::Pump() {
  // Entered again from a callback that polls: the outer loop will see what is there.
  if (pumping_) return;
  pumping_ = true;
  for (int pass = 0; session_ && pass < kMaxPasses; pass++) {
    const std::int64_t used = session_->Drain(words_);
    if (used < 0) {
      Corrupt();
      break;
    }
    if (used == 0) break;
    Call(on_events_, {Napi::Number::New(Env(), static_cast<double>(used))});
  }
  pumping_ = false;
}

void SessionObject::EndTurn() {
  const LoopScope from_loop(from_loop_);
  enlisted_ = false;
  Pump();
  if (!session_) return;
  Flush();
  // To wake a peer that is dead ends the session.
  if (!session_ || !awake_) return;
  if (session_->TrySleep()) {
    awake_ = false;
  } else {
    Enlist();
  }
}

void SessionObject::Published() {
  const std::uint64_t now = uv_hrtime();
  if (unsent_since_ == 0) {
    unsent_since_ = now;
    Enlist();
  } else if (now - unsent_since_ > kMaxWakeDelayNs) {
    Flush();
  }
}

void SessionObject::Flush() {
  unsent_since_ = 0;
  if (!session_->wake_due()) return;
  if (session_->WakePeer()) Call(on_polling_, {});
}

void SessionObject::Enlist() {
  if (enlisted_) return;
  enlisted_ = true;
  turn_->Enlist(this);
}

void SessionObject::Corrupt() {
  // A copy: the callback destroys the session.
  const std::string error = session_->error();
  Call(on_corrupt_, {Napi::String::New(Env(), error)});
}

void SessionObject::Call(const Napi::FunctionReference& function,
                         std::initializer_list<napi_value> arguments) {
  if (turn_->handles().ending()) return;
  const Napi::HandleScope scope(Env());
  CallScript(Env(), Value(), function.Value(), arguments, from_loop_);
}

void SessionObject::Shut() {
  turn_->handles().Close(poll_);
  poll_ = nullptr;
  turn_->Forget(this);
  enlisted_ = false;
  session_.reset();
  words_ = {};
  span_words_ = {};
  // They refer to the TypeScript session, which refers to us: neither would ever be collected.
  words_reference_.Reset();
  spans_reference_.Reset();
  on_events_.Reset();
  on_corrupt_.Reset();
  on_polling_.Reset();
}

}  // namespace shm
