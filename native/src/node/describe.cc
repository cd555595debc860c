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

}  // namespace

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
    lists.Set(index++, entry);
  }
  const Session::Counters& counters = session.counters();
  auto out = Napi::Object::New(env);
  out.Set("lists", lists);
  const BufferRegion& region = session.region();
  out.Set("budget", number(region.budget()));
  out.Set("bytesInUse", number(region.InUse()));
  out.Set("bytesBorrowed", number(region.Borrowed()));
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
