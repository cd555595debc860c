#include <string>
#include <vector>

#include "check.h"
#include "core/atomics.h"
#include "core/layout.h"
#include "core/session.h"
#include "session_pair.h"

// A peer that breaks the rules of lending. The client is the hostile one.
namespace shm {
namespace {

using namespace layout;
using namespace test;

constexpr auto kLend = static_cast<std::uint32_t>(Status::kLend);
constexpr auto kLendDone = static_cast<std::uint32_t>(Status::kLendDone);

std::string At(const char* what, std::uint32_t offset) {
  return std::string(what) + ", at offset " + std::to_string(offset);
}

std::vector<SliceSpan> Held(Session& session, std::size_t slices) {
  std::vector<SliceSpan> chain;
  for (std::size_t i = 0; i < slices; i++) chain.push_back({session.Hold(100), 100});
  return chain;
}

TEST(RefusesALendOfASliceItSentAndHasNotGotBack) {
  SessionPair pair;
  const auto spans = SendMessage(*pair.client, 1, 100);
  DrainAll(*pair.server);
  pair.PushRaw(spans[0].slice, kLend);
  CHECK_EQ(DrainError(*pair.server), At("lend of a slice the peer may not lend", spans[0].slice));
  CHECK(pair.server->Release(spans[0].slice));
  CheckAccounts(*pair.server);
}

TEST(RefusesALendOfOurOwnSlices) {
  SessionPair pair;
  const auto ours = Held(*pair.server, 1);
  pair.PushRaw(ours[0].slice, kLend);
  CHECK_EQ(DrainError(*pair.server), At("lend of a slice the peer may not lend", ours[0].slice));
}

TEST(RefusesDataInASliceOnLoan) {
  SessionPair pair;
  const auto chain = Held(*pair.client, 2);
  CHECK_EQ(pair.client->SendHeld(1, Status::kLend, chain), Sent::kYes);
  DrainAll(*pair.server);
  for (const SliceSpan& span : chain) {
    SessionPair fresh;
    const auto same = Held(*fresh.client, 2);
    CHECK_EQ(fresh.client->SendHeld(1, Status::kLend, same), Sent::kYes);
    DrainAll(*fresh.server);
    fresh.PushRaw(span.slice, 0);
    CHECK_EQ(DrainError(*fresh.server), At("data in a slice on loan", span.slice));
    for (const SliceSpan& borrowed : same) CHECK(fresh.server->Release(borrowed.slice));
    CHECK_EQ(Borrowed(*fresh.server), 0u);
  }
}

TEST(RefusesChainsThatOverlap) {
  SessionPair pair;
  const auto chain = Held(*pair.client, 3);
  CHECK_EQ(pair.client->SendHeld(1, Status::kLend, std::vector{chain[0], chain[1]}), Sent::kYes);
  DrainAll(*pair.server);
  // A chain of its own that begins in the middle of the other, or runs into it.
  pair.PushRaw(chain[1].slice, kLend);
  CHECK_EQ(DrainError(*pair.server),
           At("lend of a chain that runs into another one on loan", chain[1].slice));

  SessionPair into;
  const auto same = Held(*into.client, 3);
  CHECK_EQ(into.client->SendHeld(1, Status::kLend, std::vector{same[0], same[1]}), Sent::kYes);
  CHECK_EQ(into.client->SendHeld(1, Status::kLend, std::vector{same[2]}), Sent::kYes);
  into.SetWord(same[2].slice + kSliceNext, same[0].slice);
  into.SetFlags(same[2].slice, kFlagHasNext | kFlagInUse);
  std::vector<std::uint32_t> words(into.server->MaxEventWords());
  CHECK_EQ(into.server->Drain(words), 10);
  CHECK_EQ(DrainError(*into.server),
           At("lend of a chain that runs into another one on loan", same[2].slice));
}

TEST(RefusesALendThatRunsInACircle) {
  SessionPair pair;
  const auto chain = Held(*pair.client, 2);
  CHECK_EQ(pair.client->SendHeld(1, Status::kLend, chain), Sent::kYes);
  pair.SetWord(chain[1].slice + kSliceNext, chain[0].slice);
  pair.SetFlags(chain[1].slice, kFlagHasNext | kFlagInUse);
  CHECK_EQ(DrainError(*pair.server),
           At("lend of a chain that runs into another one on loan", chain[0].slice));
}

TEST(RefusesALendThatReachesPastItsPayload) {
  SessionPair pair;
  const auto chain = Held(*pair.client, 1);
  CHECK_EQ(pair.client->SendHeld(1, Status::kLend, chain), Sent::kYes);
  pair.SetWord(chain[0].slice + kSliceSize, 4097);
  CHECK_EQ(DrainError(*pair.server),
           At("event with a slice chain the peer may not send", chain[0].slice));
}

// While one borrow lasts, what was read by the first lend counts.
TEST(AChainOnLoanCannotBeChanged) {
  SessionPair pair;
  const auto chain = Held(*pair.client, 2);
  CHECK_EQ(pair.client->SendHeld(1, Status::kLend, chain), Sent::kYes);
  const auto first = DrainAll(*pair.server);
  for (const SliceSpan& span : chain) {
    pair.SetWord(span.slice + kSliceSize, 0xffffffff);
    pair.SetWord(span.slice + kSliceStart, 0xffffffff);
    pair.SetWord(span.slice + kSliceNext, 0xffffffff);
    pair.SetFlags(span.slice, kFlagHasNext);
  }
  CHECK_EQ(pair.client->SendHeld(2, Status::kLend, chain), Sent::kYes);
  // Nor is it written anew under its readers.
  CHECK_EQ(LoadRelaxed<std::uint32_t>(pair.region() + chain[0].slice + kSliceSize), 0xffffffff);
  const auto second = DrainAll(*pair.server);
  CHECK_EQ(second[0].slices.size(), 2u);
  for (std::size_t i = 0; i < 2; i++) {
    CHECK_EQ(second[0].slices[i].payload, first[0].slices[i].payload);
    CHECK_EQ(second[0].slices[i].bytes, first[0].slices[i].bytes);
  }
}

TEST(RefusesMoreLendsThanItCounts) {
  SessionPair pair(1024 * 1024, 1024);
  const auto chain = Held(*pair.client, 1);
  std::uint32_t lends = 0;
  while (lends < kMaxLends) {
    const Sent sent = pair.client->SendHeld(1, Status::kLend, chain);
    if (sent == Sent::kYes) lends++;
    if (sent == Sent::kRingFull) DrainAll(*pair.server);
    CHECK(sent != Sent::kMisused);
  }
  DrainAll(*pair.server);
  // The client's own book says no before the server must.
  CHECK_EQ(pair.client->SendHeld(1, Status::kLend, chain), Sent::kRingFull);
  pair.PushRaw(chain[0].slice, kLend);
  CHECK_EQ(DrainError(*pair.server), At("lend of a chain lent too often", chain[0].slice));
}

TEST(RefusesTheEndOfALendThatIsNotOutstanding) {
  const char* words = "end of a lend that is not outstanding";
  SessionPair never;
  const auto held = Held(*never.server, 1);
  never.PushRaw(held[0].slice, kLendDone);
  CHECK_EQ(DrainError(*never.server), At(words, held[0].slice));

  SessionPair twice;
  const auto chain = Held(*twice.server, 2);
  CHECK_EQ(twice.server->SendHeld(1, Status::kLend, chain), Sent::kYes);
  twice.PushRaw(chain[0].slice, kLendDone);
  CHECK_EQ(DrainAll(*twice.server).size(), 1u);
  twice.PushRaw(chain[0].slice, kLendDone);
  CHECK_EQ(DrainError(*twice.server), At(words, chain[0].slice));

  SessionPair not_the_first;
  const auto other = Held(*not_the_first.server, 2);
  CHECK_EQ(not_the_first.server->SendHeld(1, Status::kLend, other), Sent::kYes);
  not_the_first.PushRaw(other[1].slice, kLendDone);
  CHECK_EQ(DrainError(*not_the_first.server), At(words, other[1].slice));
}

// A slice on loan is not the receiver's to return; one returned anyhow is found.
TEST(ReportsALentSliceThatWasReturned) {
  SessionPair pair;
  const auto chain = Held(*pair.server, 1);
  CHECK_EQ(pair.server->SendHeld(1, Status::kLend, chain), Sent::kYes);
  const SliceList::Geometry& list = pair.server->region().lists()[1].geometry();
  const std::uint32_t tail =
      list.area() + (BufferRegion::kInitialLinked - 1) * list.stride();
  pair.SetWord(tail + kSliceNext, chain[0].slice - list.area());
  pair.SetFlags(tail, kFlagHasNext);
  CHECK(!pair.server->Reclaim());
  CHECK_EQ(DrainError(*pair.server), "the peer returned a slice it was not lent");
}

TEST(RefusesAMessageOfMoreSlicesThanOneMayHave) {
  SessionPair pair(16 * 1024 * 1024);
  std::vector<SliceSpan> chain;
  while (chain.size() < BufferRegion::kMaxChain + 1) chain.push_back({pair.client->Hold(1), 1});
  const std::span<const SliceSpan> most = std::span(chain).first(BufferRegion::kMaxChain);
  CHECK_EQ(pair.client->SendHeld(1, Status::kLend, most), Sent::kYes);
  pair.SetWord(most.back().slice + kSliceNext, chain.back().slice);
  pair.SetFlags(most.back().slice, kFlagHasNext | kFlagInUse);
  CHECK_EQ(DrainError(*pair.server),
           At("event with more slices than a message may have", chain[0].slice));
}

TEST(NoticesThatTheMemoryWasWrittenOver) {
  SessionPair pair;
  SendMessage(*pair.client, 1, 10);
  const std::size_t trailer = pair.buffers->bytes().size() - kTrailerBytes;
  pair.SetWord(trailer + kTrailerEpoch, 0);
  for (Session* session : {pair.client.get(), pair.server.get()}) {
    CHECK_EQ(DrainError(*session), "the session's memory was overwritten or punched");
  }
}

}  // namespace
}  // namespace shm
