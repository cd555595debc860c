#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "core/layout.h"
#include "core/session.h"
#include "session_pair.h"

// Chains that stay their owner's while the other end reads them.
namespace shm {
namespace {

using namespace layout;
using namespace test;

constexpr std::uint64_t kMemory = 1024 * 1024;

std::vector<SliceSpan> HoldChain(Session& session, std::size_t slices, std::uint32_t bytes,
                                 std::uint32_t seed) {
  std::vector<SliceSpan> chain;
  std::byte* region = session.parts().buffers->bytes().data();
  for (std::size_t i = 0; i < slices; i++) {
    chain.push_back({session.Hold(bytes), bytes});
    CHECK(chain.back().slice != 0);
    std::memcpy(region + chain.back().payload(),
                Pattern(seed + static_cast<std::uint32_t>(i) * bytes), bytes);
  }
  return chain;
}

void Lend(Session& session, std::uint32_t stream, const std::vector<SliceSpan>& chain) {
  CHECK_EQ(session.SendHeld(stream, Status::kLend, chain), Sent::kYes);
}

// Releases a lent message and says so, as the other end's streams do.
void GiveBack(Session& session, const Received& message) {
  ReleaseAll(session, message);
  CHECK(session.Signal(message.stream, Status::kLendDone, message.value));
}

void CheckNothingOut(const SessionPair& pair) {
  for (Session* session : {pair.client.get(), pair.server.get()}) {
    CHECK(session->Reclaim());
    CheckAccounts(*session);
    CHECK_EQ(Held(*session) + Lent(*session) + Borrowed(*session), 0u);
    CHECK_EQ(session->region().lends_outstanding(), 0u);
    CHECK_EQ(session->region().InUse() + session->region().Borrowed(), 0u);
  }
}

TEST(OneChainIsReadOnManyStreamsAtOnceAndStaysItsOwners) {
  SessionPair pair(kMemory, 1024);
  for (std::uint32_t round = 0; round < 3; round++) {
    const auto chain = HoldChain(*pair.server, 3, 4000, round);
    for (std::uint32_t stream = 0; stream < 100; stream++) Lend(*pair.server, stream, chain);
    CHECK_EQ(pair.server->region().lends_outstanding(), 100u);
    const auto received = DrainAll(*pair.client);
    CHECK_EQ(received.size(), 100u);
    CHECK_EQ(Borrowed(*pair.client), 3u);
    for (const Received& message : received) {
      CHECK_EQ(message.status, static_cast<std::uint32_t>(Status::kLend));
      CHECK_EQ(message.value, chain[0].slice);
      CHECK(Holds(*pair.client, message, 12'000, round));
    }
    for (const Received& message : received) {
      CHECK(!pair.server->Release(chain[1].slice));
      GiveBack(*pair.client, message);
    }
    CHECK_EQ(Borrowed(*pair.client), 0u);
    CHECK_EQ(DrainAll(*pair.server).size(), 100u);
    CHECK_EQ(pair.server->region().lends_outstanding(), 0u);
    CHECK_EQ(Held(*pair.server), 3u);
    // Ours alone again: it can be given away.
    CHECK_EQ(pair.server->SendHeld(1, Status::kData, chain), Sent::kYes);
    ReleaseAll(*pair.client, DrainAll(*pair.client)[0]);
    CheckNothingOut(pair);
  }
}

TEST(ALendThatOverlapsTheEndOfAnotherKeepsTheChainOut) {
  SessionPair pair;
  const auto chain = HoldChain(*pair.client, 1, 100, 7);
  Lend(*pair.client, 1, chain);
  const auto first = DrainAll(*pair.server);
  GiveBack(*pair.server, first[0]);
  // Not heard of yet.
  Lend(*pair.client, 2, chain);
  CHECK_EQ(DrainAll(*pair.client).size(), 1u);
  CHECK_EQ(pair.client->region().lends_outstanding(), 1u);
  CHECK(!pair.client->Release(chain[0].slice));
  const auto second = DrainAll(*pair.server);
  CHECK(Holds(*pair.server, second[0], 100, 7));
  GiveBack(*pair.server, second[0]);
  CHECK_EQ(DrainAll(*pair.client).size(), 1u);
  CHECK(pair.client->Release(chain[0].slice));
  CheckNothingOut(pair);
}

TEST(TheReceiverCannotReleaseMoreThanItBorrowed) {
  SessionPair pair;
  const auto chain = HoldChain(*pair.client, 2, 100, 0);
  Lend(*pair.client, 1, chain);
  Lend(*pair.client, 2, chain);
  const auto received = DrainAll(*pair.server);
  for (int borrow = 0; borrow < 2; borrow++) CHECK(pair.server->Release(chain[0].slice));
  CHECK(!pair.server->Release(chain[0].slice));
  for (int borrow = 0; borrow < 2; borrow++) CHECK(pair.server->Release(chain[1].slice));
  CHECK(!pair.server->Release(chain[1].slice));
  CHECK_EQ(Borrowed(*pair.server), 0u);
}

TEST(RefusesItsOwnCallersMistakes) {
  SessionPair pair;
  Session& client = *pair.client;
  const auto chain = HoldChain(client, 3, 1000, 0);
  const auto refused = [&](Status status, std::vector<SliceSpan> spans) {
    const auto before = client.counters().events_sent;
    CHECK_EQ(client.SendHeld(1, status, spans), Sent::kMisused);
    CHECK_EQ(client.counters().events_sent, before);
  };
  for (const Status status : {Status::kData, Status::kLend}) {
    refused(status, {});
    refused(status, {chain[0], chain[0]});
    refused(status, {{chain[0].slice, 4097}});
    refused(status, {{chain[0].slice + 4, 1}});
    refused(status, {{0, 1}});
  }
  Lend(client, 1, {chain[0], chain[1]});
  refused(Status::kData, {chain[0]});
  refused(Status::kData, {chain[2], chain[1]});
  refused(Status::kLend, {chain[0]});
  refused(Status::kLend, {chain[1]});
  refused(Status::kLend, {chain[2], chain[1]});
  refused(Status::kLend, {chain[0], chain[2]});
  refused(Status::kLend, {{chain[0].slice, 999}, chain[1]});
  CHECK(!client.Release(chain[0].slice) && !client.Release(chain[1].slice));
  CHECK_EQ(client.SendHeld(1, Status::kData, std::vector{chain[2]}), Sent::kYes);
  refused(Status::kData, {chain[2]});
  refused(Status::kLend, {chain[2]});
  CHECK(!client.corrupt());
}

TEST(PlainPeersAreNotLentTo) {
  SessionPair pair(kMemory, 64, Discipline::kShared);
  const std::vector<SliceSpan> chain = {{pair.client->Hold(10), 10}};
  CHECK_EQ(pair.client->SendHeld(1, Status::kLend, chain), Sent::kMisused);
  CHECK_EQ(pair.client->SendHeld(1, Status::kData, chain), Sent::kYes);
  ReleaseAll(*pair.server, DrainAll(*pair.server)[0]);
}

TEST(AFullRingLeavesALendAsItWas) {
  SessionPair pair(kMemory, 16);
  const auto chain = HoldChain(*pair.client, 1, 100, 0);
  for (std::uint32_t i = 0; i < 16; i++) CHECK(pair.client->Signal(i, Status::kCredit, i));
  CHECK_EQ(pair.client->SendHeld(1, Status::kLend, chain), Sent::kRingFull);
  CHECK_EQ(pair.client->SendHeld(1, Status::kData, chain), Sent::kRingFull);
  CHECK_EQ(pair.client->region().lends_outstanding(), 0u);
  CHECK(pair.client->Release(chain[0].slice));
  CheckNothingOut(pair);
}

// Chains of every length lent, given away, returned and freed in no order, both ways.
TEST(AccountsHoldWhateverIsLentAndGivenBack) {
  for (std::uint32_t seed = 1; seed <= 20; seed++) {
    std::mt19937 random(seed);
    const auto below = [&](std::size_t bound) { return random() % bound; };
    SessionPair pair(kMemory, 64);
    std::vector<std::pair<std::vector<SliceSpan>, std::uint32_t>> chains;
    std::vector<Received> borrowed;
    std::map<std::uint32_t, std::uint32_t> lends;
    const auto hear = [&] {
      for (const Received& event : DrainAll(*pair.client)) CHECK(lends[event.value]-- > 0);
    };
    for (std::uint32_t step = 0; step < 600; step++) {
      switch (below(5)) {
        case 0:
          if (chains.size() < 6) {
            chains.emplace_back(HoldChain(*pair.client, 1 + below(5), 4000, step), step);
          }
          break;
        case 1:
          if (chains.empty() || borrowed.size() > 30) break;
          Lend(*pair.client, step, chains[below(chains.size())].first);
          for (Received& message : DrainAll(*pair.server)) {
            lends[message.value]++;
            borrowed.push_back(std::move(message));
          }
          break;
        case 2: {
          if (borrowed.empty()) break;
          const std::size_t at = below(borrowed.size());
          for (const auto& [chain, pattern] : chains) {
            if (chain[0].slice != borrowed[at].value) continue;
            CHECK(Holds(*pair.server, borrowed[at],
                        static_cast<std::uint32_t>(4000 * chain.size()), pattern));
          }
          GiveBack(*pair.server, borrowed[at]);
          borrowed.erase(borrowed.begin() + static_cast<std::ptrdiff_t>(at));
          break;
        }
        case 3:
          hear();
          break;
        default: {
          if (chains.empty()) break;
          const std::size_t at = below(chains.size());
          const bool out = lends[chains[at].first[0].slice] > 0;
          const Sent sent = pair.client->SendHeld(step, Status::kData, chains[at].first);
          CHECK_EQ(sent, out ? Sent::kMisused : Sent::kYes);
          if (out) break;
          ReleaseAll(*pair.server, DrainAll(*pair.server)[0]);
          chains.erase(chains.begin() + static_cast<std::ptrdiff_t>(at));
        }
      }
      CheckAccounts(*pair.client);
    }
    for (const Received& message : borrowed) GiveBack(*pair.server, message);
    hear();
    for (const auto& [chain, pattern] : chains) {
      for (const SliceSpan& span : chain) CHECK(pair.client->Release(span.slice));
    }
    CheckNothingOut(pair);
  }
}

}  // namespace
}  // namespace shm
