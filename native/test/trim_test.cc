#include <set>
#include <vector>

#include "check.h"
#include "core/atomics.h"
#include "core/layout.h"
#include "core/session.h"
#include "session_pair.h"

// Memory of slices nobody needs goes back to the system.
namespace shm {
namespace {

using namespace test;

constexpr std::uint64_t kMiB = 1024 * 1024;

// Messages of `bytes` both ways until nothing is left, then all returned.
void FillBothWays(SessionPair& pair, std::uint32_t bytes, std::uint32_t seed) {
  std::vector<std::vector<Received>> received;
  for (auto& [from, to] : {std::pair(pair.client.get(), pair.server.get()),
                           std::pair(pair.server.get(), pair.client.get())}) {
    std::uint32_t payload = 0;
    for (const SliceList& list : from->region().lists()) {
      if (payload == 0 && list.geometry().payload >= bytes) payload = list.geometry().payload;
    }
    const std::uint64_t room = from->region().budget() / (payload + 64);
    for (std::uint64_t i = 0; i < room; i++) {
      SendMessage(*from, 1, bytes, seed + static_cast<std::uint32_t>(i));
      if (i % 32 == 31) received.push_back(DrainAll(*to));
    }
    received.push_back(DrainAll(*to));
    std::uint32_t at = 0;
    for (const auto& messages : received) {
      for (const Received& message : messages) {
        CHECK(Holds(*to, message, bytes, seed + at++));
      }
    }
    // In an order that leaves no two neighbours together.
    std::vector<const Received*> all;
    for (const auto& messages : received) {
      for (const Received& message : messages) all.push_back(&message);
    }
    for (std::size_t start = 0; start < 7; start++) {
      for (std::size_t i = start; i < all.size(); i += 7) ReleaseAll(*to, *all[i]);
    }
    received.clear();
    CHECK(from->Reclaim());
  }
}

void SetTime(SessionPair& pair, std::uint32_t now) {
  pair.client->SetTime(now);
  pair.server->SetTime(now);
}

// As often as it takes for all that is idle.
void TrimAll(SessionPair& pair) {
  for (Session* session : {pair.client.get(), pair.server.get()}) {
    for (int call = 0; call < 10; call++) (void)session->Trim();
    CHECK(!session->corrupt());
  }
}

TEST(AnIdleSessionTakesLittleMemory) {
  SessionPair pair(64 * kMiB, 8192);
  std::uint32_t now = 0xfffffc00;  // the clock may pass zero
  for (const std::uint32_t bytes : {4096u, 4u * 1024 * 1024, 200'000u, 32'000u, 1024u * 1024}) {
    SetTime(pair, now);
    FillBothWays(pair, bytes, now);
    CHECK(pair.buffers->ResidentBytes() > 40 * kMiB);
    for (Session* session : {pair.client.get(), pair.server.get()}) {
      CHECK(session->HasIdle());
      // Not idle long enough.
      session->SetTime(now + Session::kIdleMs - 1);
      CHECK(session->Trim());
    }
    CHECK(pair.buffers->ResidentBytes() > 40 * kMiB);
    now += Session::kIdleMs;
    SetTime(pair, now);
    TrimAll(pair);
    CHECK(!pair.client->HasIdle() && !pair.server->HasIdle());
    CHECK(pair.buffers->ResidentBytes() <= 2 * kMiB);
    CHECK(pair.client->counters().punched_bytes > 0 && pair.server->counters().punched_bytes > 0);
    CheckAccounts(*pair.client);
    CheckAccounts(*pair.server);
  }
}

TEST(SlicesInUseKeepTheirBytesAndTheirHeaders) {
  SessionPair pair(16 * kMiB, 1024);
  FillBothWays(pair, 100'000, 3);
  const auto sent = SendMessage(*pair.client, 1, 100'000, 77);
  const std::vector<SliceSpan> held = {{pair.client->Hold(50'000), 50'000}};
  CHECK_EQ(pair.client->SendHeld(2, Status::kLend, held), Sent::kYes);
  SetTime(pair, 100'000);
  TrimAll(pair);
  const auto received = DrainAll(*pair.server);
  CHECK_EQ(received.size(), 2u);
  CHECK(Holds(*pair.server, received[0], 100'000, 77));
  ReleaseAll(*pair.server, received[0]);
  ReleaseAll(*pair.server, received[1]);
  // What was given back works as before, its capacity word too.
  FillBothWays(pair, 100'000, 5);
  std::uint32_t touched = 0;
  for (const SliceList& list : pair.client->region().lists()) {
    if (list.role() != ListRole::kOurs) continue;
    const auto& geometry = list.geometry();
    if (geometry.payload != 260 * 1024) continue;
    touched += list.touched();
    for (std::uint32_t i = 0; i < list.touched(); i++) {
      const std::byte* slice = pair.region() + geometry.area() + i * geometry.stride();
      CHECK_EQ(LoadRelaxed<std::uint32_t>(slice + layout::kSliceCapacity), geometry.payload);
    }
  }
  CHECK(touched > 0);
}

TEST(TheHottestSlicesStay) {
  SessionPair pair(64 * kMiB, 1024);
  SetTime(pair, 0);
  FillBothWays(pair, 30'000, 1);
  SetTime(pair, 10'000);
  TrimAll(pair);
  const std::uint64_t resident = pair.buffers->ResidentBytes();
  for (std::uint32_t i = 0; i < 10; i++) {
    SendMessage(*pair.client, 1, 30'000, i);
    ReleaseAll(*pair.server, DrainAll(*pair.server)[0]);
  }
  CHECK(pair.buffers->ResidentBytes() < resident + 3 * 36 * 1024);
}

TEST(SaysWhoHasWhichSliceAndSinceWhen) {
  SessionPair pair;
  SetTime(pair, 1000);
  const std::uint32_t held = pair.client->Hold(10);
  SetTime(pair, 1500);
  const auto sent = SendMessage(*pair.client, 42, 20'000);
  const std::vector<SliceSpan> lent = {{pair.client->Hold(10), 10}};
  CHECK_EQ(pair.client->SendHeld(43, Status::kLend, lent), Sent::kYes);
  SetTime(pair, 1700);
  DrainAll(*pair.server);
  SetTime(pair, 2000);
  const auto check = [](const SliceHolder& holder, std::uint32_t slice, SliceHolder::State state,
                        std::uint32_t stream, std::uint32_t age) {
    CHECK_EQ(holder.slice, slice);
    CHECK_EQ(holder.state, state);
    CHECK_EQ(holder.stream, stream);
    CHECK_EQ(holder.age_ms, age);
  };
  using State = SliceHolder::State;
  const auto ours = pair.client->Holders(10);
  CHECK_EQ(ours.size(), 3u);
  check(ours[0], held, State::kHeld, 0, 1000);
  for (const SliceHolder& holder : {ours[1], ours[2]}) {
    if (holder.stream == 42) check(holder, sent[0].slice, State::kSent, 42, 500);
    else check(holder, lent[0].slice, State::kLentOut, 43, 500);
  }
  const auto theirs = pair.server->Holders(10);
  CHECK_EQ(theirs.size(), 2u);
  for (const SliceHolder& holder : theirs) {
    if (holder.stream == 42) check(holder, sent[0].slice, State::kBorrowed, 42, 300);
    else check(holder, lent[0].slice, State::kOnLoan, 43, 300);
  }
  CHECK_EQ(pair.client->Holders(1).size(), 1u);
  CHECK_EQ(pair.client->Holders(1)[0].slice, held);
  // For whoever looks at the memory of a process that is gone.
  const std::byte* slice = pair.region() + sent[0].slice;
  CHECK_EQ(LoadRelaxed<std::uint8_t>(slice + layout::kSliceStream), 42);
  CHECK_EQ(LoadRelaxed<std::uint16_t>(slice + layout::kSliceStreamHigh), 0u);
}

}  // namespace
}  // namespace shm
