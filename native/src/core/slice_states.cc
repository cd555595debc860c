// The private state of each slice: who has it.
#include "slice_list.h"

namespace shm {

std::vector<SliceHolder> SliceList::Holders() const {
  std::vector<SliceHolder> holders;
  for (std::uint32_t i = 0; i < geometry_.capacity; i++) {
    SliceHolder::State state;
    switch (states_[i]) {
      case State::kHeld:
        state = SliceHolder::State::kHeld;
        break;
      case State::kPinned:
        state = SliceHolder::State::kLentOut;
        break;
      case State::kLent:
        if (i == head_) continue;  // the one a list keeps
        state = SliceHolder::State::kSent;
        break;
      case State::kBorrowed:
        state = SliceHolder::State::kBorrowed;
        break;
      case State::kOnLoan:
        state = SliceHolder::State::kOnLoan;
        break;
      default:
        continue;
    }
    holders.push_back({geometry_.area() + Relative(i), geometry_.payload, state,
                       tenures_[i].stream, now_ - tenures_[i].since});
  }
  return holders;
}

bool SliceList::Holds(std::uint32_t offset) const noexcept { return Is(State::kHeld, offset); }

void SliceList::Pin(std::uint32_t offset) noexcept { StateOf(offset) = State::kPinned; }

void SliceList::Unpin(std::uint32_t offset) noexcept { StateOf(offset) = State::kHeld; }

bool SliceList::Borrow(std::uint32_t offset, std::uint32_t stream) noexcept {
  return Receive(offset, State::kBorrowed, stream);
}

bool SliceList::BeginLoan(std::uint32_t offset, std::uint32_t stream) noexcept {
  return Receive(offset, State::kOnLoan, stream);
}

void SliceList::EndLoan(std::uint32_t offset) noexcept {
  StateOf(offset) = State::kElsewhere;
  borrowed_--;
}

bool SliceList::OnLoan(std::uint32_t offset) const noexcept { return Is(State::kOnLoan, offset); }

bool SliceList::Receive(std::uint32_t offset, State as, std::uint32_t stream) noexcept {
  const auto index = IndexOf(offset - geometry_.area());
  if (!index || role_ == ListRole::kOurs || states_[*index] != State::kElsewhere) return false;
  Enter(*index, as);
  tenures_[*index].stream = stream;
  borrowed_++;
  return true;
}

SliceList::State& SliceList::StateOf(std::uint32_t offset) noexcept {
  return states_[(offset - geometry_.area()) / geometry_.stride()];
}

bool SliceList::Is(State state, std::uint32_t offset) const noexcept {
  const auto index = IndexOf(offset - geometry_.area());
  return index && states_[*index] == state;
}

}  // namespace shm
