#include "hostile_run.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <future>
#include <optional>
#include <random>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "check.h"
#include "core/atomics.h"
#include "core/layout.h"
#include "core/session.h"
#include "misdeeds.h"
#include "session_pair.h"
#include "two_threads.h"

namespace shm::test {
namespace {

using namespace layout;

constexpr std::uint64_t kMemory = 256 * 1024;
constexpr int kSteps = 80;

enum class Malice : std::uint8_t {
  kBetweenSteps,
  kMeanwhile,     // a second thread, all the time
  kPayloadsOnly,  // then every other byte must arrive as it was sent, and the session must live
};

constexpr std::array<const char*, 13> kReasons = {
    "a counter of the ring was overwritten",
    "the peer returned a slice it was not lent",
    "the peer truncated its memory",
    "the session's memory was overwritten or punched",
    "event with unknown status ",
    "event with a slice chain the peer may not send, at offset ",
    "lend of a chain ",
    "lend of a slice the peer may not lend, at offset ",
    "data in a slice on loan, at offset ",
    "end of a lend that is not outstanding, at offset ",
    "a list of free slices was overwritten, or has a slice that is in use",
    // Between two instructions of a send; in larger memory.
    "the peer moved a counter of the ring back",
    "event with more slices than a message may have, at offset ",
};
constexpr std::size_t kCommonReasons = 11;

// Who has a slice, by what the victim was told: a slice has one owner.
enum class Owner : std::uint8_t { kHeld, kLending, kBorrowed, kOnLoan };

class Run {
 public:
  explicit Run(std::uint32_t seed)
      : random_(seed),
        malice_(static_cast<Malice>(std::max(0, static_cast<int>(seed % 8) - 5))),
        discipline_(Below(4) == 0 ? Discipline::kShared : Discipline::kOwned),
        sealed_(discipline_ == Discipline::kOwned || Below(2) == 0),
        pair_(kMemory, 64, discipline_, sealed_),
        is_client_(Below(2) == 0),
        victim_(is_client_ ? *pair_.client : *pair_.server),
        peer_(is_client_ ? *pair_.server : *pair_.client),
        misdeeds_(pair_, victim_, is_client_ ? Side::kServer : Side::kClient, sealed_),
        words_(std::max(victim_.MaxEventWords(), peer_.MaxEventWords()) + 256),
        rate_(1u << Below(7)) {}

  std::string All() {
    std::atomic<bool> stop{false};
    std::future<void> meanwhile;
    if (malice_ == Malice::kMeanwhile) {
      meanwhile = std::async(std::launch::async, [this, &stop, chosen = Below(1u << 31)] {
        std::mt19937 random(chosen);
        while (!stop.load()) {
          misdeeds_.Any(random);
          Dawdle(static_cast<std::uint32_t>(random()) % 500);
        }
      });
    }
    try {
      for (int step = 0; step < kSteps && Step(); step++) {
        if (malice_ == Malice::kBetweenSteps && Below(rate_) == 0) misdeeds_.Any(random_);
        if (malice_ == Malice::kPayloadsOnly) SpoilPayload();
        CheckAccounts(victim_);
      }
    } catch (...) {
      stop.store(true);
      throw;
    }
    stop.store(true);
    if (meanwhile.valid()) meanwhile.get();
    if (victim_.corrupt()) CheckRetired();
    else if (malice_ == Malice::kPayloadsOnly) CHECK(DrainVictim());
    CheckAccounts(victim_);
    return victim_.error();
  }

 private:
  std::uint32_t Below(std::uint32_t bound) { return static_cast<std::uint32_t>(random_()) % bound; }
  std::byte* region() const { return pair_.region(); }

  void SpoilPayload() {
    const auto& lists = victim_.region().lists();
    const SliceList& list = lists[Below(static_cast<std::uint32_t>(lists.size()))];
    const auto& geometry = list.geometry();
    const std::uint32_t at = geometry.area() + Below(std::min(geometry.capacity, 4u)) * geometry.stride() +
                             static_cast<std::uint32_t>(kSliceHeaderBytes) + Below(geometry.payload);
    misdeeds_.FlipBit(at, Below(8));
    spoiled_.insert(at);
  }

  // --- what the victim does, and the peer where it behaves. False when the victim has noticed.

  bool Step() {
    switch (Below(9)) {
      case 0:
        return SendFromVictim();
      case 1:
        return HoldOrLend();
      case 2:
      case 3:
        return DrainVictim();
      case 4:
        ReleaseOne();
        return true;
      case 5:
        (void)victim_.Signal(1, static_cast<Status>(2 + Below(3)), Below(100'000));
        if (victim_.wake_due()) victim_.WakePeer();
        (void)victim_.TrySleep();
        return !victim_.corrupt();
      case 6:
        SendFromPeer();
        return true;
      case 7:
        PassTime();
        return !victim_.corrupt();
      default:
        PeerTakesAndReturns();
        return victim_.Reclaim();
    }
  }

  // What has been free for long may go back to the system, and nothing else.
  void PassTime() {
    now_ += Below(2 * Session::kIdleMs);
    for (Session* session : {&victim_, &peer_}) {
      session->SetTime(now_);
      (void)session->Trim();
    }
    const auto holders = victim_.Holders(4);
    CHECK(holders.size() <= 4);
  }

  bool SendFromVictim() {
    std::vector<SliceSpan> spans;
    if (victim_.Allocate(Below(30'000), spans) < 0) return false;
    for (const SliceSpan& span : spans) Own(span.slice, span.bytes);
    if (!spans.empty() && victim_.Send(1, spans)) {
      for (const SliceSpan& span : spans) owners_.erase(span.slice);
      return true;
    }
    for (const SliceSpan& span : spans) ReleaseHeld(span.slice);
    return !victim_.corrupt();
  }

  bool HoldOrLend() {
    const std::uint32_t bytes = 1 + Below(30'000);
    const std::uint32_t slice = victim_.Hold(bytes);
    if (victim_.corrupt()) return false;
    if (slice == 0) return true;
    Own(slice, bytes);
    const std::array<SliceSpan, 1> spans = {{{slice, bytes}}};
    const bool lend = discipline_ == Discipline::kOwned && Below(2) == 0;
    const Sent sent = victim_.SendHeld(1, lend ? Status::kLend : Status::kData, spans);
    CHECK(sent != Sent::kMisused);
    if (sent == Sent::kRingFull) ReleaseHeld(slice);
    else if (lend) owners_[slice] = Owner::kLending;
    else owners_.erase(slice);
    return !victim_.corrupt();
  }

  void ReleaseHeld(std::uint32_t slice) {
    // A send that failed because the ring's counter jumped back has given the slices away.
    if (!victim_.Release(slice)) CHECK(victim_.corrupt());
    owners_.erase(slice);
  }

  // Ours now, and writable from end to end.
  void Own(std::uint32_t slice, std::uint32_t bytes) {
    CHECK(bytes <= Payload(slice));
    CHECK(owners_.emplace(slice, Owner::kHeld).second);
    std::memset(region() + slice + kSliceHeaderBytes, 0xee, bytes);
    for (std::uint32_t i = 0; i < bytes && !spoiled_.empty(); i++) {
      spoiled_.erase(slice + static_cast<std::uint32_t>(kSliceHeaderBytes) + i);
    }
  }

  // Bytes of the slice's payload; fails when there is no such slice.
  std::uint32_t Payload(std::uint32_t slice) const {
    for (const SliceList& list : victim_.region().lists()) {
      const auto& geometry = list.geometry();
      if (!list.Contains(slice)) continue;
      CHECK_EQ((slice - geometry.area()) % geometry.stride(), 0u);
      return geometry.payload;
    }
    throw CheckFailed("slice " + std::to_string(slice) + " lies in no list");
  }

  bool DrainVictim() {
    const std::int64_t used = victim_.Drain(words_);
    if (used < 0) return false;
    // What it says was read from memory that was still there.
    if (malice_ == Malice::kBetweenSteps) CHECK(victim_.CheckIntact());
    for (std::size_t at = 0; at < static_cast<std::size_t>(used);) {
      const auto status = static_cast<Status>(words_[at + 1]);
      const std::uint32_t slices = words_[at + 3];
      const std::size_t first = at + 4;
      at = first + 3 * std::size_t{slices};
      CHECK(at <= static_cast<std::size_t>(used));
      if (status == Status::kLendDone) {
        // Of a chain of one slice; held again when this was its last lend, which was its only one.
        const auto lent = owners_.find(words_[first - 2]);
        CHECK(lent != owners_.end() && lent->second == Owner::kLending);
        lent->second = Owner::kHeld;
      }
      for (std::size_t i = first; i < at; i += 3) Deliver(status, words_[i], words_[i + 1], words_[i + 2]);
      if (malice_ == Malice::kPayloadsOnly && status == Status::kData) {
        CheckContent(words_[first - 4], first, at);
      }
    }
    return true;
  }

  void Deliver(Status status, std::uint32_t slice, std::uint32_t payload, std::uint32_t bytes) {
    const std::uint64_t begin = slice + kSliceHeaderBytes;
    CHECK(payload >= begin);
    CHECK(payload + std::uint64_t{bytes} <= begin + Payload(slice));
    CHECK(begin + Payload(slice) <= pair_.buffers->bytes().size());
    const auto [owner, fresh] =
        owners_.emplace(slice, status == Status::kLend ? Owner::kOnLoan : Owner::kBorrowed);
    // Nobody else has it, and it is not ours: but a loan may come again.
    CHECK(fresh || (status == Status::kLend && owner->second == Owner::kOnLoan));
    borrowed_.push_back(slice);
    // As a reader would.
    std::uint32_t sum = 0;
    for (std::uint32_t i = 0; i < bytes; i += 256) {
      sum += std::to_integer<std::uint32_t>(region()[payload + i]);
    }
    read_ += sum;
  }

  void CheckContent(std::uint32_t stream, std::size_t from, std::size_t to) {
    std::uint32_t at = 0;
    for (std::size_t i = from; i < to; i += 3) {
      for (std::uint32_t byte = 0; byte < words_[i + 2]; byte++, at++) {
        const std::uint32_t offset = words_[i + 1] + byte;
        if (region()[offset] == Pattern(stream)[at % kPatternBytes]) continue;
        CHECK(spoiled_.contains(offset));
      }
    }
  }

  void ReleaseOne() {
    if (borrowed_.empty()) return;
    std::swap(borrowed_[Below(static_cast<std::uint32_t>(borrowed_.size()))], borrowed_.back());
    const std::uint32_t slice = borrowed_.back();
    borrowed_.pop_back();
    CHECK(victim_.Release(slice));
    const bool again = std::find(borrowed_.begin(), borrowed_.end(), slice) != borrowed_.end();
    if (!again) owners_.erase(slice);
  }

  void SendFromPeer() {
    const std::uint32_t stream = 1 + Below(60'000);
    std::vector<SliceSpan> spans;
    if (peer_.Allocate(1 + Below(20'000), spans) <= 0) return;
    std::uint32_t at = 0;
    for (const SliceSpan& span : spans) {
      for (std::uint32_t i = 0; i < span.bytes; i++, at++) {
        region()[span.payload() + i] = Pattern(stream)[at % kPatternBytes];
        if (!spoiled_.empty()) spoiled_.erase(span.payload() + i);
      }
    }
    if (discipline_ == Discipline::kOwned && Below(4) == 0) {
      (void)peer_.SendHeld(stream, Status::kLend, spans);
    } else {
      (void)peer_.Send(stream, spans);
    }
  }

  void PeerTakesAndReturns() {
    if (peer_.corrupt()) return;
    const std::int64_t used = peer_.Drain(words_);
    for (std::size_t at = 0; used > 0 && at < static_cast<std::size_t>(used);) {
      const std::uint32_t slices = words_[at + 3];
      for (std::uint32_t i = 0; i < slices; i++) (void)peer_.Release(words_[at + 4 + 3 * i]);
      if (words_[at + 1] == static_cast<std::uint32_t>(Status::kLend)) {
        (void)peer_.Signal(1, Status::kLendDone, words_[at + 2]);
      }
      at += 4 + 3 * std::size_t{slices};
    }
  }

  // Retired for ever, for a reason it can name, and calls that come all the same do no harm.
  void CheckRetired() {
    CHECK(malice_ != Malice::kPayloadsOnly);
    const std::string& error = victim_.error();
    if (std::none_of(kReasons.begin(), kReasons.end(),
                     [&error](const char* reason) { return error.starts_with(reason); })) {
      throw CheckFailed("retired because of: " + error);
    }
    CHECK_EQ(victim_.Drain(words_), -1);
    std::vector<SliceSpan> spans;
    (void)victim_.Allocate(1000, spans);
    for (const SliceSpan& span : spans) (void)victim_.Release(span.slice);
    (void)victim_.Signal(1, Status::kFin, 0);
    (void)victim_.Reclaim();
    for (const std::uint32_t slice : borrowed_) (void)victim_.Release(slice);
  }

  std::mt19937 random_;
  Malice malice_;
  Discipline discipline_;
  bool sealed_;
  SessionPair pair_;
  bool is_client_;
  Session& victim_;
  Session& peer_;
  Misdeeds misdeeds_;
  std::vector<std::uint32_t> words_;
  std::uint32_t rate_;
  std::unordered_map<std::uint32_t, Owner> owners_;
  std::vector<std::uint32_t> borrowed_;  // one entry for each time
  std::unordered_set<std::uint32_t> spoiled_;
  std::uint32_t read_ = 0;
  std::uint32_t now_ = 0;
};

}  // namespace

std::string RunHostile(std::uint32_t seed) { return Run(seed).All(); }

std::span<const char* const> HostileReasons() {
  return std::span(kReasons).first(kCommonReasons);
}

}  // namespace shm::test
