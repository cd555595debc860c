#include <array>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "core/atomics.h"
#include "core/layout.h"
#include "core/session.h"
#include "session_pair.h"

namespace shm {
namespace {

using namespace layout;
using namespace test;

// A victim at work, and a peer that overwrites words of what they share, mostly those that mean
// something. The victim may report corruption; it may not crash, reach outside the memory, or lose
// count. One seed misbehaves in every step, another once in a while.
class Harassment {
 public:
  explicit Harassment(std::uint32_t seed)
      : random_(seed),
        pair_(1024 * 1024, 64, seed % 3 == 0 ? Discipline::kShared : Discipline::kOwned),
        victim_(*pair_.server),
        words_(victim_.MaxEventWords()),
        malice_(1u << seed % 8) {}

  void Run() {
    for (int step = 0; step < 400 && Step(); step++) {
      if (Below(malice_) == 0) Misbehave();
      CheckAccounts(victim_);
      CHECK_EQ(Borrowed(victim_), borrowed_.size());
    }
    CheckAccounts(victim_);
  }

 private:
  std::uint32_t Below(std::uint32_t bound) { return static_cast<std::uint32_t>(random_()) % bound; }
  std::size_t RegionBytes() const { return pair_.buffers->bytes().size(); }

  void Misbehave() {
    const auto& lists = victim_.region().lists();
    const auto& geometry = lists[Below(static_cast<std::uint32_t>(lists.size()))].geometry();
    const std::uint32_t slice = geometry.area() + Below(geometry.capacity) * geometry.stride();
    const std::array<std::uint32_t, 4> values = {slice, slice - geometry.area(), Below(5000),
                                                 static_cast<std::uint32_t>(random_())};
    const std::uint32_t value = values[Below(4)];
    switch (Below(7)) {
      case 0:
        pair_.SetWord(slice + kSliceNext, value);
        pair_.SetFlags(slice, static_cast<std::uint8_t>(Below(4)));
        break;
      case 1:
        pair_.SetWord(slice + 4 * Below(5), value);
        break;
      case 2:
        pair_.SetWord(geometry.header + 4 * Below(9), value);
        break;
      case 3:
        pair_.PushRaw(slice, Below(6));
        break;
      case 4:
        StoreRelaxed<std::uint32_t>(
            pair_.ring(Below(2) == 0 ? Side::kClient : Side::kServer) + 4 * Below(6), Below(80));
        break;
      default:
        pair_.region()[random_() % RegionBytes()] = static_cast<std::byte>(Below(256));
        break;
    }
  }

  // What the victim does, and a client in order as far as the memory still lets it. False when the
  // victim has noticed.
  bool Step() {
    switch (Below(5)) {
      case 0:
        return Send();
      case 1:
        return Receive();
      case 2:
        if (!borrowed_.empty()) {
          CHECK(victim_.Release(borrowed_.back()));
          borrowed_.pop_back();
        }
        return true;
      case 3: {
        std::vector<SliceSpan> spans;
        if (pair_.client->Allocate(Below(40'000), spans) > 0) (void)pair_.client->Send(2, spans);
        return true;
      }
      default:
        // The client takes and returns.
        for (std::uint32_t i = 0; i < 4 && !pair_.client->corrupt(); i++) {
          const std::int64_t used = pair_.client->Drain(words_);
          if (used <= 0) break;
          for (std::size_t at = 0; at < static_cast<std::size_t>(used); at += 3 * words_[at + 3] + 4) {
            for (std::uint32_t slice = 0; slice < words_[at + 3]; slice++) {
              (void)pair_.client->Release(words_[at + 4 + 3 * slice]);
            }
          }
        }
        return victim_.Reclaim();
    }
  }

  bool Send() {
    std::vector<SliceSpan> spans;
    if (victim_.Allocate(Below(100'000), spans) < 0) return false;
    for (const SliceSpan& span : spans) {
      CHECK(span.payload() + std::uint64_t{span.bytes} <= RegionBytes());
      std::memset(pair_.region() + span.payload(), 1, span.bytes);
    }
    if (!spans.empty() && victim_.Send(1, spans)) return true;
    for (const SliceSpan& span : spans) {
      if (!victim_.Release(span.slice)) CHECK(victim_.corrupt());
    }
    return true;
  }

  bool Receive() {
    const std::int64_t used = victim_.Drain(words_);
    if (used < 0) {
      CHECK(!victim_.error().empty());
      return false;
    }
    for (std::size_t at = 0; at < static_cast<std::size_t>(used);) {
      const std::uint32_t slices = words_[at + 3];
      at += 4;
      for (std::uint32_t i = 0; i < slices; i++, at += 3) {
        CHECK(words_[at + 1] + std::uint64_t{words_[at + 2]} <= RegionBytes());
        borrowed_.push_back(words_[at]);
      }
    }
    return true;
  }

  std::mt19937 random_;
  SessionPair pair_;
  Session& victim_;
  std::vector<std::uint32_t> words_;
  std::uint32_t malice_;
  std::vector<std::uint32_t> borrowed_;
};

TEST(SurvivesAnythingWrittenIntoTheMemory) {
  for (std::uint32_t seed = 0; seed < 1500; seed++) {
    try {
      Harassment(seed).Run();
    } catch (const CheckFailed& failed) {
      throw CheckFailed("seed " + std::to_string(seed) + ": " + failed.what());
    }
  }
}

}  // namespace
}  // namespace shm
