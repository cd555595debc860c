#include "core/inspect.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <string>

#include "check.h"
#include "core/event_queue.h"
#include "core/layout.h"
#include "peer.h"
#include "session_pair.h"

namespace shm {
namespace {

using namespace layout;
using namespace test;

Image Of(const Mapping& mapping) { return Image(mapping.fd(), 0, mapping.bytes().size()); }

MemoryImage Look(const SessionPair& pair, bool shmesh = true) {
  return InspectMemory(Of(*pair.buffers), Of(*pair.queues), shmesh);
}

std::uint32_t Count(const MemoryImage& image, SliceState state) {
  std::uint32_t count = 0;
  for (const ListImage& list : image.lists) count += list.slices[static_cast<std::size_t>(state)];
  return count;
}

HolderImage HeldBy(const MemoryImage& image, SliceState state, std::uint32_t stream) {
  HolderImage sum{};
  for (const auto& [key, holder] : image.holders) {
    if (key.state != state || key.stream != stream) continue;
    sum.slices += holder.slices;
    sum.bytes += holder.bytes;
  }
  return sum;
}

bool Mentions(const MemoryImage& image, const std::string& words) {
  return std::ranges::any_of(image.problems, [&](const std::string& problem) {
    return problem.find(words) != std::string::npos;
  });
}

TEST(ASessionThatDidNothingHasOnlyFreeSlices) {
  const SessionPair pair;
  const MemoryImage image = Look(pair);
  CHECK_EQ(image.problems.size(), 0u);
  CHECK_EQ(image.epoch, 1u);
  CHECK_EQ(image.budget, 512u * 1024);
  CHECK_EQ(image.lists.size(), pair.client->region().lists().size());
  for (const ListImage& list : image.lists) {
    CHECK_EQ(list.slices[static_cast<std::size_t>(SliceState::kFree)], BufferRegion::kInitialLinked);
  }
  CHECK(image.holders.empty());
  CHECK_EQ(image.rings.size(), 2u);
  CHECK_EQ(image.rings[0].capacity, 64u);
  CHECK_EQ(image.rings[0].backlog, 0);
}

TEST(AMessageIsQueuedThenSentThenReturned) {
  const SessionPair pair;
  const auto spans = SendMessage(*pair.client, 9, 5000);
  MemoryImage image = Look(pair);
  CHECK_EQ(HeldBy(image, SliceState::kQueued, 9).slices, spans.size());
  CHECK_EQ(HeldBy(image, SliceState::kQueued, 9).bytes, 5000u);
  CHECK_EQ(image.rings[0].backlog, 1);
  CHECK_EQ(image.rings[0].events[0], 1u);
  CHECK_EQ(image.rings[1].backlog, 0);

  const auto received = DrainAll(*pair.server);
  image = Look(pair);
  CHECK_EQ(Count(image, SliceState::kQueued), 0u);
  CHECK_EQ(Count(image, SliceState::kSent), spans.size());
  CHECK_EQ(HeldBy(image, SliceState::kSent, 9).bytes, 5000u);

  ReleaseAll(*pair.server, received.at(0));
  image = Look(pair);
  CHECK_EQ(Count(image, SliceState::kSent), 0u);
  CHECK(image.holders.empty());
  CHECK_EQ(image.problems.size(), 0u);
}

TEST(ALentSliceIsSentUntilTheLendEnds) {
  const SessionPair pair;
  const std::uint32_t slice = pair.client->Hold(3000);
  const SliceSpan span{slice, 3000};
  CHECK(pair.client->SendHeld(7, Status::kLend, {&span, 1}) == Sent::kYes);
  const auto received = DrainAll(*pair.server);
  CHECK_EQ(HeldBy(Look(pair), SliceState::kSent, 7).bytes, 3000u);
  ReleaseAll(*pair.server, received.at(0));
  CHECK(pair.server->Signal(7, Status::kLendDone, slice));
  DrainAll(*pair.client);
  CHECK_EQ(Count(Look(pair), SliceState::kSent), 0u);
}

TEST(EachEndsEventsAndWakefulnessAreItsOwn) {
  const SessionPair pair;
  CHECK(pair.server->Signal(3, Status::kFin, 0));
  CHECK(pair.server->Signal(4, Status::kCredit, 100));
  pair.client->MarkAwake();
  MemoryImage image = Look(pair);
  CHECK_EQ(image.rings[1].backlog, 2);
  CHECK_EQ(image.rings[1].events[static_cast<std::size_t>(Status::kFin)], 1u);
  CHECK_EQ(image.rings[1].events[static_cast<std::size_t>(Status::kCredit)], 1u);
  CHECK(image.rings[1].consumer_awake);
  DrainAll(*pair.client);
  CHECK(pair.client->TrySleep());
  CHECK(!Look(pair).rings[1].consumer_awake);
}

TEST(LookingTakesNoPageOfTheMemory) {
  const SessionPair pair(64 * 1024 * 1024);
  const std::uint64_t before = pair.buffers->ResidentBytes();
  const MemoryImage image = Look(pair);
  CHECK(Count(image, SliceState::kUnused) > 8000u);
  CHECK_EQ(pair.buffers->ResidentBytes(), before);
}

TEST(WhatIsWrongIsSaid) {
  const SessionPair pair;
  const auto& list = pair.client->region().lists()[0].geometry();
  const std::uint32_t first = list.area();
  pair.SetWord(first + kSliceNext, 0);  // the first leads to itself
  CHECK(Mentions(Look(pair), "list 0: its free list comes back to slice 0"));
  pair.SetWord(first + kSliceNext, 7);
  CHECK(Mentions(Look(pair), "list 0: its free list leads to 7, no slice"));
  pair.SetWord(first + kSliceCapacity, 77);
  CHECK(Mentions(Look(pair), "list 0: slice 0 claims a payload of 77"));
  pair.PushRaw(13);
  CHECK(Mentions(Look(pair), "ring 0: stream"));
  pair.SetWord(list.header + kListCapacity, UINT32_MAX);
  const MemoryImage image = Look(pair);
  CHECK(Mentions(image, "list 0: 4294967295 slices"));
  CHECK(image.lists.empty());
}

TEST(ARegionCutShortIsAProblemNotACrash) {
  const SessionPair pair;
  SendMessage(*pair.client, 9, 100'000);
  const auto bytes = pair.buffers->bytes().size();
  for (std::size_t left : {std::size_t{0}, std::size_t{7}, std::size_t{43}, std::size_t{44},
                           std::size_t{5000}, bytes / 2, bytes - 1}) {
    // Claimed to be whole, and cut: what a dump looks like when the disk was full.
    const UniqueFd cut = Memfd(left, 0);
    if (left > 0) {
      CHECK_EQ(pwrite(cut.get(), pair.buffers->bytes().data(), left, 0),
               static_cast<ssize_t>(left));
    }
    CHECK(!InspectMemory(Image(cut.get(), 0, bytes), Of(*pair.queues), true).problems.empty());
    CHECK(!InspectMemory(Image(cut.get(), 0, left), Of(*pair.queues), true).problems.empty());
  }
}

// Flips of any byte, most of them where it matters; ASan and UBSan watch.
TEST(FlippedBytesNeverCrashIt) {
  std::mt19937 random(7);
  const auto below = [&random](std::size_t bound) { return random() % bound; };
  SessionPair pair(1024 * 1024, 64);
  for (std::uint32_t stream = 2; stream < 12; stream++) SendMessage(*pair.client, stream, 20'000);
  const std::vector<std::byte> buffers(pair.buffers->bytes().begin(), pair.buffers->bytes().end());
  const std::vector<std::byte> queues(pair.queues->bytes().begin(), pair.queues->bytes().end());
  const auto& lists = pair.client->region().lists();
  int with_problems = 0;
  for (int round = 0; round < 4000; round++) {
    const auto& list = lists[below(lists.size())].geometry();
    std::vector<std::pair<std::byte*, std::byte>> undo;
    for (std::size_t flips = 1 + below(3); flips > 0; flips--) {
      const std::size_t slice = list.area() + below(8) * list.stride();
      const std::array<std::size_t, 4> places = {below(kRegionHeaderBytes),
                                                 list.header + below(kListHeaderBytes),
                                                 slice + below(kSliceHeaderBytes),
                                                 below(buffers.size())};
      const std::size_t kind = below(6);
      std::byte* at = kind < 4 ? pair.buffers->bytes().data() + places[kind]
                               : pair.queues->bytes().data() + below(kind == 4 ? 24 : queues.size());
      undo.emplace_back(at, *at);
      *at = static_cast<std::byte>(random());
    }
    const MemoryImage image = Look(pair, below(2) == 0);
    if (!image.problems.empty()) with_problems++;
    CHECK(image.problems.size() <= MemoryImage::kMaxProblems);
    std::ranges::reverse(undo);
    for (const auto& [at, was] : undo) *at = was;
  }
  CHECK(with_problems > 100);
  CHECK(std::ranges::equal(buffers, pair.buffers->bytes()));
}

// Where `needle` occurs in the file.
bool FileHolds(int fd, std::size_t bytes, std::span<const std::byte> needle) {
  std::vector<std::byte> all(bytes);
  CHECK_EQ(pread(fd, all.data(), bytes, 0), static_cast<ssize_t>(bytes));
  return !std::ranges::search(all, needle).empty();
}

TEST(ACopyOfTheHeadersTellsTheSameAndHoldsNoPayload) {
  const SessionPair pair;
  SendMessage(*pair.client, 9, 70'000, 5);
  DrainAll(*pair.server);
  SendMessage(*pair.server, 9, 3000, 6);
  const std::size_t bytes = pair.buffers->bytes().size();
  const std::span<const std::byte> secret(Pattern(5), 32);
  constexpr std::uint64_t kBase = 8192;
  for (const bool all : {false, true}) {
    const UniqueFd file = Memfd(kBase + bytes, 0);
    const Image from = Of(*pair.buffers);
    ImageCopy copy(from, file.get(), kBase);
    CHECK(all ? copy.All() : copy.Headers());
    CHECK_EQ(FileHolds(file.get(), kBase + bytes, secret), all);
    const MemoryImage there = InspectMemory(Image(file.get(), kBase, bytes), Of(*pair.queues), true);
    const MemoryImage here = Look(pair);
    CHECK_EQ(there.problems.size(), 0u);
    CHECK_EQ(there.epoch, here.epoch);
    for (std::size_t i = 0; i < here.lists.size(); i++) {
      CHECK(there.lists[i].slices == here.lists[i].slices);
    }
    CHECK_EQ(HeldBy(there, SliceState::kQueued, 9).bytes, 3000u);
  }
}

TEST(ACopyThatCannotBeWrittenSaysWhy) {
  const SessionPair pair;
  const UniqueFd read_only(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Image from = Of(*pair.buffers);
  ImageCopy copy(from, read_only.get(), 0);
  CHECK(!copy.Headers());
  CHECK_EQ(copy.error(), "pwrite: Bad file descriptor");
}

}  // namespace
}  // namespace shm
