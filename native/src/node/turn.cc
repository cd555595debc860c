#include "turn.h"

#include <algorithm>

#include "session_object.h"

namespace shm {

void Turn::Enlist(SessionObject* session) {
  if (!Prepare()) return;
  if (enlisted_.empty()) {
    uv_prepare_start(prepare_, [](uv_prepare_t* handle) { static_cast<Turn*>(handle->data)->OnEnd(); });
  }
  enlisted_.push_back(session);
}

void Turn::Forget(SessionObject* session) {
  std::erase(enlisted_, session);
  std::replace(visiting_.begin(), visiting_.end(), session, static_cast<SessionObject*>(nullptr));
}

bool Turn::Prepare() {
  if (prepare_ == nullptr) {
    prepare_ = handles_.Open<uv_prepare_t>(this, uv_prepare_init);
    idle_ = handles_.Open<uv_idle_t>(this, uv_idle_init);
  }
  return prepare_ != nullptr && idle_ != nullptr && !handles_.ending();
}

bool Turn::Idle() const {
  return visiting_.size() == 1 && enlisted_.empty() && uv_backend_timeout(handles_.loop()) != 0;
}

void Turn::OnEnd() {
  const Napi::HandleScope scope(env_);
  visiting_.swap(enlisted_);
  // Not ours to count when a session asks whether the loop has anything to do.
  uv_idle_stop(idle_);
  // JavaScript runs in here: sessions may close (Forget) or enlist again.
  for (std::size_t i = 0; i < visiting_.size(); i++) {
    SessionObject* session = visiting_[i];
    if (session != nullptr) session->EndTurn();
  }
  visiting_.clear();
  if (handles_.ending()) return;
  if (enlisted_.empty()) {
    uv_prepare_stop(prepare_);
  } else {
    // Somebody has more to do: come back at once, after timers and sockets had their turn.
    uv_idle_start(idle_, [](uv_idle_t*) {});
  }
}

}  // namespace shm
