#include "session_object.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "addon.h"
#include "core/unix_socket.h"
#include "describe.h"
#include "freed_memory.h"

namespace shm {
Napi::Function SessionObject::Define(Napi::Env env) {
  return DefineClass(env, "NativeSession",
                     {InstanceMethod<&SessionObject::Start>("start"),
                      InstanceMethod<&SessionObject::TakeControl>("takeControl"),
                      InstanceMethod<&SessionObject::UnreadControl>("unreadControl"),
                      InstanceMethod<&SessionObject::UnsentControl>("unsentControl"),
                      InstanceMethod<&SessionObject::Memory>("memory"),
                      InstanceMethod<&SessionObject::Describe>("describe"),
                      InstanceMethod<&SessionObject::Poll>("poll"),
                      InstanceMethod<&SessionObject::WakePeer>("wakePeer"),
                      InstanceMethod<&SessionObject::Intact>("intact"),
                      InstanceMethod<&SessionObject::Holders>("holders"),
                      InstanceMethod<&SessionObject::Statistics>("statistics"),
                      InstanceMethod<&SessionObject::Close>("close"),
                      InstanceMethod<&SessionObject::Unmap>("unmap"),
                      InstanceMethod<&SessionObject::Expose>("expose"),
                      InstanceMethod<&SessionObject::Detach>("detach")});
}

Napi::Object SessionObject::Wrap(Napi::Env env, std::unique_ptr<Session> session) {
  auto* addon = env.GetInstanceData<Addon>();
  Napi::Object object = addon->session_constructor().New({});
  SessionObject* self = Unwrap(object);
  self->session_ = std::move(session);
  self->turn_ = addon->turn();
  DefineMessageCall<SessionObject, &SessionObject::Allocate>(object, self, "allocate");
  DefineMessageCall<SessionObject, &SessionObject::Send>(object, self, "send");
  DefineMessageCall<SessionObject, &SessionObject::Hold>(object, self, "hold");
  DefineMessageCall<SessionObject, &SessionObject::SendHeld>(object, self, "sendHeld");
  DefineMessageCall<SessionObject, &SessionObject::Write>(object, self, "write");
  DefineMessageCall<SessionObject, &SessionObject::WriteText>(object, self, "writeText");
  DefineMessageCall<SessionObject, &SessionObject::Signal>(object, self, "signal");
  DefineMessageCall<SessionObject, &SessionObject::Release>(object, self, "release");
  DefineMessageCall<SessionObject, &SessionObject::ReleaseAll>(object, self, "releaseAll");
  return object;
}

SessionObject::SessionObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

SessionObject::~SessionObject() {
  if (turn_ && turn_->handles().ending()) control_.CloseOrphan();
  if (session_) Shut();
}

// start(words, spans, onEvents, onCorrupt, onPolling, wakeUp, intervalMs): 0, or why the loop cannot
// wait for the peer, a negative errno.
Napi::Value SessionObject::Start(const Napi::CallbackInfo& info) {
  KeepFreedMemory();
  control_.Settle();
  auto words = info[0].As<Napi::Uint32Array>();
  auto spans = info[1].As<Napi::Uint32Array>();
  words_reference_ = Napi::Persistent(words);
  spans_reference_ = Napi::Persistent(spans);
  words_ = {words.Data(), words.ElementLength()};
  span_words_ = {spans.Data(), spans.ElementLength()};
  on_events_ = Napi::Persistent(info[2].As<Napi::Function>());
  on_corrupt_ = Napi::Persistent(info[3].As<Napi::Function>());
  on_polling_ = Napi::Persistent(info[4].As<Napi::Function>());
  const std::string wake_up = info[5].IsString() ? info[5].As<Napi::String>().Utf8Value() : "event";
  if (wake_up == "poll") wake_up_ = WakeUp::kPoll;
  if (wake_up == "interval") {
    wake_up_ = WakeUp::kInterval;
    LookEvery(info[6].As<Napi::Number>().Uint32Value());
  }
  may_look_ = session_->parts().discipline == Discipline::kOwned &&
              sysconf(_SC_NPROCESSORS_ONLN) > 1;
  const int error = ListenForWakeUps();
  // What arrived between the handshake and now.
  Enlist();
  return Napi::Number::New(info.Env(), error);
}

// The control socket's descriptor: the caller closes it.
Napi::Value SessionObject::TakeControl(const Napi::CallbackInfo& info) {
  control_ = HandedFd(std::move(session_->parts().control));
  return Napi::Number::New(info.Env(), control_.number());
}

// unreadControl(fd), unsentControl(fd): bytes the kernel holds of the control socket.
Napi::Value SessionObject::UnreadControl(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), UnreadBytes(info[0].As<Napi::Number>().Int32Value()));
}

Napi::Value SessionObject::UnsentControl(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), UnsentBytes(info[0].As<Napi::Number>().Int32Value()));
}

Napi::Value SessionObject::Describe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto description = Napi::Object::New(env);
  SessionParts& parts = session_->parts();
  description.Set("client", parts.side == Side::kClient);
  description.Set("owned", parts.discipline == Discipline::kOwned);
  description.Set("peerWindow", parts.peer_window);
  description.Set("maxEventWords", static_cast<double>(session_->MaxEventWords()));
  description.Set("sealed", parts.buffers->sealed());
  description.Set("slices", session_->region().max_chain());
  description.Set("sliceHeaderBytes", static_cast<std::uint32_t>(layout::kSliceHeaderBytes));
  description.Set("maxSliceBytes", session_->region().max_payload());
  // Against peers that know no budget: what the region can hold.
  description.Set("budget", static_cast<double>(std::min<std::uint64_t>(
                                session_->region().budget(), parts.buffers->bytes().size() / 2)));
  const auto peer = ReadPeerCredentials(parts.control.get());
  description.Set("peerPid", peer ? static_cast<double>(peer->pid) : 0);
  return description;
}

// holders(most): the slices somebody has, those longest with their holder first.
Napi::Value SessionObject::Holders(const Napi::CallbackInfo& info) {
  Clock();
  return session_ ? DescribeHolders(info.Env(), *session_, info[0].As<Napi::Number>().Uint32Value())
                  : Napi::Array::New(info.Env());
}

Napi::Value SessionObject::Statistics(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Clock();
  if (!session_) return env.Undefined();
  Napi::Object statistics = DescribeSession(env, *session_);
  statistics.Set("spinHits", Napi::Number::New(env, static_cast<double>(spin_.hits() + thrifty_.hits())));
  statistics.Set("spinMisses", Napi::Number::New(env, static_cast<double>(spin_.misses() + thrifty_.misses())));
  return statistics;
}

// close(): the session's memory stays mapped until unmap().
Napi::Value SessionObject::Close(const Napi::CallbackInfo& info) {
  control_.Settle();
  if (session_) Shut();
  return info.Env().Undefined();
}

void SessionObject::Shut() {
  turn_->handles().Close(poll_);
  turn_->handles().Close(trim_);
  turn_->handles().Close(interval_);
  interval_ = nullptr;
  poll_ = nullptr;
  trim_ = nullptr;
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
