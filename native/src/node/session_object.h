#pragma once

#include <napi.h>
#include <uv.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "core/session.h"
#include "core/spin.h"
#include "handed_fd.h"
#include "message_call.h"
#include "turn.h"

namespace shm {

// JavaScript: the native half of adapter/shmipc/session.ts; native/index.ts types it.
//
// Arguments of the methods called per message are converted, not validated: only our own TypeScript
// calls them.
class SessionObject : public Napi::ObjectWrap<SessionObject> {
 public:
  static Napi::Function Define(Napi::Env env);
  // The JavaScript object takes the session over.
  static Napi::Object Wrap(Napi::Env env, std::unique_ptr<Session> session);

  explicit SessionObject(const Napi::CallbackInfo& info);
  ~SessionObject() override;

  // Called by Turn when the loop is about to sleep.
  void EndTurn();

 private:
  Napi::Value Start(const Napi::CallbackInfo& info);
  Napi::Value TakeControl(const Napi::CallbackInfo& info);
  Napi::Value Memory(const Napi::CallbackInfo& info);
  Napi::Value Describe(const Napi::CallbackInfo& info);
  Napi::Value UnreadControl(const Napi::CallbackInfo& info);
  Napi::Value UnsentControl(const Napi::CallbackInfo& info);
  Napi::Value Poll(const Napi::CallbackInfo& info);
  Napi::Value WakePeer(const Napi::CallbackInfo& info);
  Napi::Value Intact(const Napi::CallbackInfo& info);
  Napi::Value Holders(const Napi::CallbackInfo& info);
  Napi::Value Statistics(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);
  Napi::Value Unmap(const Napi::CallbackInfo& info);
  Napi::Value Expose(const Napi::CallbackInfo& info);
  Napi::Value Detach(const Napi::CallbackInfo& info);

  // Per message.
  napi_value Allocate(const MessageCall& call);
  napi_value Send(const MessageCall& call);
  napi_value Hold(const MessageCall& call);
  napi_value SendHeld(const MessageCall& call);
  napi_value Write(const MessageCall& call);
  napi_value WriteText(const MessageCall& call);
  napi_value Signal(const MessageCall& call);
  napi_value Release(const MessageCall& call);
  napi_value ReleaseAll(const MessageCall& call);

  void OnWakeUp();
  void OnTrim();
  void OnInterval();
  // 0 or a negative errno.
  int ListenForWakeUps();
  void LookEvery(std::uint64_t interval_ms);
  // Tells the session the time: before anything that a slice's age counts from.
  void Clock();
  void Pump();
  void Published();
  void WatchIdle();
  void Flush();
  bool WaitAwake();
  void Enlist();
  void Corrupt();
  void Call(const Napi::FunctionReference& function, std::initializer_list<napi_value> arguments);
  void Abandon();
  void Shut();

  std::unique_ptr<Session> session_;
  HandedFd control_;  // between takeControl and start
  std::shared_ptr<Turn> turn_;
  uv_poll_t* poll_ = nullptr;
  uv_timer_t* trim_ = nullptr;  // active while there may be memory to give back
  uv_timer_t* interval_ = nullptr;  // with WakeUp::kInterval
  // How we learn of events: the peer wakes us; it need not while we look for a while before we
  // sleep; or we look now and then and never sleep as far as it can see.
  enum class WakeUp : std::uint8_t { kEvent, kPoll, kInterval };
  WakeUp wake_up_ = WakeUp::kEvent;
  Spin spin_;
  ThriftySpin thrifty_;
  bool may_look_ = false;  // the peer knows that flag, and has another processor
  std::uint64_t asleep_since_ = 0;  // ns
  std::uint64_t slept_ns_ = 0;      // the last sleep
  bool enlisted_ = false;
  bool awake_ = false;       // the peer need not wake us
  bool pumping_ = false;
  bool from_loop_ = false;   // not inside a call from JavaScript
  std::uint64_t unsent_since_ = 0;  // ns: when the first event without a wake-up was published
  std::uint32_t unsent_ = 0;         // events published since
  std::vector<SliceSpan> spans_;    // of the last Allocate
  std::vector<SliceSpan> held_;     // of the SendHeld under way

  Napi::FunctionReference on_events_;
  Napi::FunctionReference on_corrupt_;
  Napi::FunctionReference on_polling_;
  Napi::Reference<Napi::Uint32Array> words_reference_;
  Napi::Reference<Napi::Uint32Array> spans_reference_;
  Napi::Reference<Napi::ArrayBuffer> memory_;
  std::span<std::uint32_t> words_;
  std::span<std::uint32_t> span_words_;
};

}  // namespace shm
