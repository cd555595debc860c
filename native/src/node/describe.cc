#include "describe.h"

namespace shm {
namespace {

const char* RoleName(ListRole role) {
  switch (role) {
    case ListRole::kOurs:
      return "ours";
    case ListRole::kPeers:
      return "peers";
    case ListRole::kShared:
      break;
  }
  return "shared";
}

const char* StateName(SliceHolder::State state) {
  switch (state) {
    case SliceHolder::State::kHeld:
      return "held";
    case SliceHolder::State::kLentOut:
      return "lentOut";
    case SliceHolder::State::kSent:
      return "lent";
    case SliceHolder::State::kBorrowed:
      return "borrowed";
    case SliceHolder::State::kOnLoan:
      break;
  }
  return "onLoan";
}

// The slice longest held, with the peer, and of the peer with us: its age and stream.
void SetOldest(Napi::Env env, Napi::Object entry, const SliceList& list) {
  const SliceHolder* held = nullptr;
  const SliceHolder* lent = nullptr;
  const SliceHolder* borrowed = nullptr;
  const auto holders = list.Holders();
  for (const SliceHolder& holder : holders) {
    const SliceHolder*& oldest = holder.state == SliceHolder::State::kSent   ? lent
                                 : holder.state == SliceHolder::State::kHeld ||
                                         holder.state == SliceHolder::State::kLentOut
                                     ? held
                                     : borrowed;
    if (oldest == nullptr || oldest->age_ms < holder.age_ms) oldest = &holder;
  }
  const auto set = [&](const char* age, const char* stream, const SliceHolder* oldest) {
    if (oldest == nullptr) return;
    entry.Set(age, Napi::Number::New(env, oldest->age_ms));
    entry.Set(stream, Napi::Number::New(env, oldest->stream));
  };
  set("oldestHeldMs", "oldestHeldStream", held);
  set("oldestLentMs", "oldestLentStream", lent);
  set("oldestBorrowedMs", "oldestBorrowedStream", borrowed);
}

}  // namespace

Napi::Array DescribeHolders(Napi::Env env, Session& session, std::size_t most) {
  auto list = Napi::Array::New(env);
  std::uint32_t index = 0;
  for (const SliceHolder& holder : session.Holders(most)) {
    auto entry = Napi::Object::New(env);
    entry.Set("slice", Napi::Number::New(env, holder.slice));
    entry.Set("payload", Napi::Number::New(env, holder.payload));
    entry.Set("state", StateName(holder.state));
    entry.Set("stream", Napi::Number::New(env, holder.stream));
    entry.Set("ageMs", Napi::Number::New(env, holder.age_ms));
    list.Set(index++, entry);
  }
  return list;
}

Napi::Object DescribeSession(Napi::Env env, Session& session) {
  // What the peer has returned but nobody needed yet counts as freed.
  session.Reclaim();
  const auto number = [env](auto value) {
    return Napi::Number::New(env, static_cast<double>(value));
  };
  auto lists = Napi::Array::New(env, session.region().lists().size());
  std::uint32_t index = 0;
  for (const SliceList& list : session.region().lists()) {
    auto entry = Napi::Object::New(env);
    entry.Set("role", RoleName(list.role()));
    entry.Set("payload", number(list.geometry().payload));
    entry.Set("capacity", number(list.geometry().capacity));
    entry.Set("touched", number(list.touched()));
    entry.Set("allocated", number(list.allocated()));
    entry.Set("freed", number(list.freed()));
    entry.Set("held", number(list.held()));
    entry.Set("lent", number(list.lent()));
    entry.Set("borrowed", number(list.borrowed()));
    SetOldest(env, entry, list);
    lists.Set(index++, entry);
  }
  const Session::Counters& counters = session.counters();
  auto out = Napi::Object::New(env);
  out.Set("lists", lists);
  const BufferRegion& region = session.region();
  out.Set("budget", number(region.budget()));
  out.Set("bytesInUse", number(region.InUse()));
  out.Set("bytesBorrowed", number(region.Borrowed()));
  out.Set("punchedBytes", number(session.counters().punched_bytes));
  out.Set("withPeer", number(region.WithPeer()));
  out.Set("lentOut", number(region.lends_outstanding()));
  out.Set("wakesSent", number(counters.wakes_sent));
  out.Set("wakesSuppressed", number(counters.wakes_suppressed));
  out.Set("wakesReceived", number(counters.wakes_received));
  out.Set("eventsSent", number(counters.events_sent));
  out.Set("eventsReceived", number(counters.events_received));
  out.Set("allocationFailures", number(counters.allocation_failures));
  out.Set("ringFull", number(counters.ring_full));
  out.Set("sendBacklog", number(session.send_queue().Backlog()));
  out.Set("receiveBacklog", number(session.receive_queue().Backlog()));
  out.Set("queueCapacity", number(session.send_queue().capacity()));
  out.Set("peerAwake", session.send_queue().consumer_awake());
  out.Set("awake", session.receive_queue().consumer_awake());
  const SessionParts& parts = session.parts();
  out.Set("mappedBytes", number(parts.buffers->bytes().size() + parts.queues->bytes().size()));
  out.Set("residentBytes", number(parts.buffers->ResidentBytes() + parts.queues->ResidentBytes()));
  return out;
}

}  // namespace shm
