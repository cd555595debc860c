// A session in the event loop: when arrived events are delivered and when the peer is woken.
#include <algorithm>

#include "call.h"
#include "session_object.h"

namespace shm {
namespace {

// Passes over the ring before the loop gets its turn back.
constexpr std::int64_t kMaxPasses = 8;
// Bytes of messages before the loop gets its turn back: what was made of them is done with then.
constexpr std::uint64_t kMaxTurnBytes = 8 << 20;
// A wake-up is put off to the end of the turn, but a long turn must not make the peer wait.
constexpr std::uint64_t kMaxWakeDelayNs = 100'000;
// How long arrivals that follow each other closely keep sockets and timers of the loop waiting.
constexpr std::uint64_t kMaxStayNs = 50'000;
// How many events are published between two looks at the clock.
constexpr std::uint32_t kEventsPerClock = 4;
// How often a session that has free memory looks whether it was idle long enough.
constexpr std::uint64_t kTrimMs = 500;

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

// Drains the ring now: a Polling message arrived, or the control socket is about to be read.
Napi::Value SessionObject::Poll(const Napi::CallbackInfo& info) {
  if (session_ && words_.data() != nullptr) {
    Clock();
    session_->MarkAwake();
    awake_ = true;
    Pump();
    if (session_) Enlist();
  }
  return info.Env().Undefined();
}

// What was published in this turn is announced now: something is about to go by the control socket.
Napi::Value SessionObject::WakePeer(const Napi::CallbackInfo& info) {
  if (session_) Flush();
  return info.Env().Undefined();
}

int SessionObject::ListenForWakeUps() {
  const int fd = session_->parts().wake_us.get();
  if (fd < 0) return 0;
  int error = 0;
  poll_ = turn_->handles().Open<uv_poll_t>(this, [&](uv_loop_t* loop, uv_poll_t* poll) {
    return error = uv_poll_init(loop, poll, fd);
  });
  if (poll_ == nullptr) return error;
  return uv_poll_start(poll_, UV_READABLE, [](uv_poll_t* poll, int, int) {
    static_cast<SessionObject*>(poll->data)->OnWakeUp();
  });
}

void SessionObject::LookEvery(std::uint64_t interval_ms) {
  interval_ = turn_->handles().Open<uv_timer_t>(this, uv_timer_init);
  if (interval_ == nullptr) return;
  // For ever, as far as the peer can see.
  session_->MarkAwake();
  awake_ = true;
  uv_timer_start(
      interval_, [](uv_timer_t* timer) { static_cast<SessionObject*>(timer->data)->OnInterval(); },
      interval_ms, interval_ms);
}

void SessionObject::OnInterval() {
  const Napi::HandleScope scope(Env());
  const LoopScope from_loop(from_loop_);
  Clock();
  Pump();
  // What a burst left in the ring is taken in turns, not in intervals.
  if (session_ && session_->receive_queue().Backlog() > 0) Enlist();
}

void SessionObject::Clock() {
  if (session_) session_->SetTime(static_cast<std::uint32_t>(uv_now(turn_->handles().loop())));
}

void SessionObject::OnTrim() {
  const Napi::HandleScope scope(Env());
  const LoopScope from_loop(from_loop_);
  Clock();
  if (session_->Trim()) return;
  uv_timer_stop(trim_);
  if (session_->corrupt()) Corrupt();
}

void SessionObject::OnWakeUp() {
  const Napi::HandleScope scope(Env());
  const LoopScope from_loop(from_loop_);
  Clock();
  session_->AcknowledgeWakeUp();
  awake_ = true;  // the peer set the flag when it woke us
  slept_ns_ = uv_hrtime() - asleep_since_;
  Enlist();
  Pump();
}

void SessionObject::Pump() {
  // Entered again from a callback that polls: the outer loop will see what is there.
  if (pumping_) return;
  pumping_ = true;
  const std::uint64_t before = session_->counters().bytes_received;
  // Who polls does it for what came by the socket: all that was published before goes first.
  const std::int64_t all = from_loop_ ? 0 : session_->receive_queue().Backlog();
  const std::int64_t most = std::max(kMaxPasses, all);
  for (std::int64_t pass = 0; session_ && pass < most; pass++) {
    const bool enough = session_->counters().bytes_received - before >= kMaxTurnBytes;
    if (from_loop_ && enough) break;
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
  Clock();
  const std::uint64_t started = uv_hrtime();
  bool more = false;
  do {
    Pump();
    if (!session_) return;
    Flush();
    // To wake a peer that is dead ends the session.
    if (!session_) return;
    more = WaitAwake();
  } while (more && turn_->Idle() && uv_hrtime() - started < kMaxStayNs);
  WatchIdle();
  if (awake_ && !more && wake_up_ != WakeUp::kInterval) {
    more = !session_->TrySleep();
    if (!more) {
      awake_ = false;
      asleep_since_ = uv_hrtime();
    }
  }
  enlisted_ = false;
  if (more) Enlist();
}

// Whether something arrived within the time for which it is better to stay awake.
bool SessionObject::WaitAwake() {
  const EventQueue& queue = session_->receive_queue();
  if (!awake_ || wake_up_ == WakeUp::kInterval) return false;
  if (wake_up_ == WakeUp::kPoll) return spin_.Wait(queue);
  if (!may_look_ || !turn_->Idle()) return false;
  const std::uint32_t bound = thrifty_.Bound(session_->TakePeerLooks(), slept_ns_);
  if (bound == 0) return false;
  if (!thrifty_.replies()) session_->MarkLooking();
  return thrifty_.Wait(queue, bound);
}

// Memory that was used in this turn is given back some time after it was last needed.
void SessionObject::WatchIdle() {
  if (trim_ == nullptr) {
    trim_ = turn_->handles().Open<uv_timer_t>(this, uv_timer_init);
    if (trim_ == nullptr) return;
  }
  if (uv_is_active(reinterpret_cast<uv_handle_t*>(trim_)) || !session_->HasIdle()) return;
  uv_timer_start(
      trim_, [](uv_timer_t* timer) { static_cast<SessionObject*>(timer->data)->OnTrim(); },
      kTrimMs, kTrimMs);
}

void SessionObject::Published() {
  if (unsent_since_ == 0) {
    unsent_since_ = uv_hrtime();
    unsent_ = 0;
    Enlist();
    return;
  }
  // The clock costs as much as all else here.
  if (++unsent_ % kEventsPerClock == 0 && uv_hrtime() - unsent_since_ > kMaxWakeDelayNs) Flush();
}

void SessionObject::Flush() {
  unsent_since_ = 0;
  if (!session_->wake_due()) return;
  if (session_->WakePeer()) Call(on_polling_, {});
  if (session_ && session_->corrupt()) Corrupt();
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

}  // namespace shm
