#include "doorman_object.h"

#include <unistd.h>

#include <string>
#include <utility>

#include "addon.h"
#include "call.h"
#include "core/loopback_socket.h"
#include "core/unix_socket.h"
#include "session_object.h"

namespace shm {
namespace {

constexpr int kBacklog = 511;

}  // namespace

Napi::Function DoormanObject::Define(Napi::Env env) {
  return DefineClass(env, "Doorman",
                     {InstanceMethod<&DoormanObject::Listen>("listen"),
                      InstanceMethod<&DoormanObject::StopListening>("stopListening"),
                      InstanceMethod<&DoormanObject::Connect>("connect"),
                      InstanceMethod<&DoormanObject::Ref>("ref"),
                      InstanceMethod<&DoormanObject::Unref>("unref")});
}

// new Doorman(onArrival(id, session | null, fd, error, errno, inspects))
DoormanObject::DoormanObject(const Napi::CallbackInfo& info)
    : ObjectWrap(info),
      turn_(info.Env().GetInstanceData<Addon>()->turn()),
      on_arrival_(Napi::Persistent(info[0].As<Napi::Function>())) {
  async_ = turn_->handles().Open<uv_async_t>(this, [](uv_loop_t* loop, uv_async_t* async) {
    return uv_async_init(loop, async, [](uv_async_t* signalled) {
      static_cast<DoormanObject*>(signalled->data)->OnArrivals();
    });
  });
  if (async_ == nullptr) throw Napi::Error::New(info.Env(), "the event loop is ending");
  std::string error;
  doorman_ = Doorman::Start([async = async_] { uv_async_send(async); }, error);
  if (!doorman_) {
    turn_->handles().Close(async_);
    throw Napi::Error::New(info.Env(), error);
  }
  // The thread must end before the handle does, whoever closes it.
  turn_->handles().BeforeClose(async_, [this] { doorman_.reset(); });
}

DoormanObject::~DoormanObject() {
  turn_->handles().Close(async_);
  for (HandedFd& orphan : orphans_) orphan.CloseOrphan();
}

// listen(id, address, window, maxMemory): a negative errno, or the port, 0 for a path.
Napi::Value DoormanObject::Listen(const Napi::CallbackInfo& info) {
  const std::string address = info[1].As<Napi::String>().Utf8Value();
  const bool loopback = IsLoopback(address);
  const int fd = loopback ? ListenLoopback(address, kBacklog) : ListenUnix(address, kBacklog);
  const int port = loopback && fd >= 0 ? BoundPort(fd) : 0;
  if (fd >= 0 && doorman_) {
    ServerOptions options;
    options.window = info[2].As<Napi::Number>().Uint32Value();
    options.max_memory = static_cast<std::uint64_t>(info[3].As<Napi::Number>().Int64Value());
    doorman_->Listen(info[0].As<Napi::Number>().Uint32Value(), UniqueFd(fd), options);
  }
  return Napi::Number::New(info.Env(), fd < 0 ? fd : port);
}

Napi::Value DoormanObject::StopListening(const Napi::CallbackInfo& info) {
  if (doorman_) doorman_->StopListening(info[0].As<Napi::Number>().Uint32Value());
  return info.Env().Undefined();
}

// connect(id, address, memory, queueCapacity, window, sharing)
Napi::Value DoormanObject::Connect(const Napi::CallbackInfo& info) {
  ClientOptions options;
  options.memory = static_cast<std::uint64_t>(info[2].As<Napi::Number>().Int64Value());
  options.queue_capacity = info[3].As<Napi::Number>().Uint32Value();
  options.window = info[4].As<Napi::Number>().Uint32Value();
  options.sharing = static_cast<Sharing>(info[5].As<Napi::Number>().Uint32Value());
  if (doorman_) {
    doorman_->Connect(info[0].As<Napi::Number>().Uint32Value(),
                      info[1].As<Napi::String>().Utf8Value(), options);
  }
  return info.Env().Undefined();
}

Napi::Value DoormanObject::Ref(const Napi::CallbackInfo& info) {
  if (doorman_) uv_ref(reinterpret_cast<uv_handle_t*>(async_));
  return info.Env().Undefined();
}

Napi::Value DoormanObject::Unref(const Napi::CallbackInfo& info) {
  if (doorman_) uv_unref(reinterpret_cast<uv_handle_t*>(async_));
  return info.Env().Undefined();
}

void DoormanObject::OnArrivals() {
  const Napi::HandleScope scope(Env());
  for (Arrival& arrival : doorman_->TakeArrivals()) Deliver(std::move(arrival));
}

void DoormanObject::Deliver(Arrival arrival) {
  const Napi::Env env = Env();
  if (turn_->handles().ending()) return;
  const Napi::HandleScope scope(env);
  napi_value session = env.Null();
  try {
    if (arrival.session) session = SessionObject::Wrap(env, std::move(arrival.session));
  } catch (const Napi::Error&) {
    return;  // the thread is being terminated
  }
  const bool inspects = static_cast<bool>(arrival.inspector);
  const HandedFd fd(std::move(inspects ? arrival.inspector : arrival.plain));
  const bool called = CallScript(
      env, Value(), on_arrival_.Value(),
      {Napi::Number::New(env, arrival.id), session, Napi::Number::New(env, fd.number()),
       Napi::String::New(env, arrival.error), Napi::Number::New(env, arrival.connect_errno),
       Napi::Boolean::New(env, inspects)},
      true);
  if (!called) orphans_.push_back(fd);
}

}  // namespace shm
