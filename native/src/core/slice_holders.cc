// Who has the slices of a list.
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

}  // namespace shm
