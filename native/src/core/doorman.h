#pragma once

#include <poll.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "handshake.h"
#include "mapping.h"
#include "session.h"

namespace shm {

// What came of a connection: exactly one of `session`, `plain`, `inspector` and `error` is set.
struct Arrival {
  std::uint32_t id = 0;  // of the Listen or Connect it answers
  std::unique_ptr<Session> session;
  UniqueFd plain;     // a client that does not speak shmipc: its first byte is still in the socket
  UniqueFd inspector;  // somebody who may, asks what this process holds in shared memory
  std::string error;  // why there is no session
  int connect_errno = 0;  // set when nobody listens: the peer, not the handshake, is the reason
};

// Accepts and shakes hands on a thread of its own: shmipc clients give a server one second for all
// three answers, and a busy event loop must not cost them that.
//
// It also sees to it that no peer makes a wake-up block the event loop (WakeUpWriter).
//
// Threads    Every method may be called from any thread. `notify` is called on the doorman's.
// Ownership  Descriptors passed in are the doorman's; those in arrivals are the taker's.
class Doorman {
 public:
  // Connecting, handshake and first byte, either side. shmipc-go's default.
  static constexpr std::chrono::milliseconds kTimeout{1000};
  // What is left of it to those a listener accepted while there is room for no more: half-open
  // handshakes, however many, must not keep others waiting.
  static constexpr std::chrono::milliseconds kCrowdedTimeout{100};

  // nullptr with `error` set when there is no descriptor or no thread to be had.
  static std::unique_ptr<Doorman> Start(std::function<void()> notify, std::string& error);
  ~Doorman();
  Doorman(const Doorman&) = delete;
  Doorman& operator=(const Doorman&) = delete;

  void Listen(std::uint32_t id, UniqueFd listener, const ServerOptions& options);
  // Closes the listener and its unfinished handshakes. Arrivals already there stay.
  void StopListening(std::uint32_t id);
  void Connect(std::uint32_t id, std::string path, ClientOptions options);

  std::vector<Arrival> TakeArrivals();

 private:
  using Clock = std::chrono::steady_clock;
  struct Listener {
    std::uint32_t id;
    UniqueFd fd;
    ServerOptions options;
    Clock::time_point resume;  // not polled before: accept ran out of descriptors
  };
  struct Guest {
    std::uint32_t id;
    UniqueFd socket;  // until the first byte says what it speaks
    ServerOptions options;
    bool accepted;
    std::unique_ptr<Handshake> handshake;
    Clock::time_point deadline;
  };
  struct Call {
    std::uint32_t id;
    std::string path;
    ClientOptions options;
    Clock::time_point deadline;
    Clock::time_point retry;  // the server's backlog was full
  };

  Doorman(std::function<void()> notify, UniqueFd wake);

  void Run();
  void TakeRequests();
  // When there is something to do next without news from a descriptor.
  Clock::time_point NextDeadline(Clock::time_point now) const;
  bool Crowded() const;
  Clock::time_point Deadline(const Guest& guest, bool crowded) const;
  void Redial(Clock::time_point now);
  // True when the call has become a guest or a failure.
  bool Dial(Call& call);
  void Accept(Listener& listener);
  // True when the guest is done with.
  bool Advance(Guest& guest, bool timed_out);
  // To its own user and to root only: others see their connection close.
  void AdmitInspector(Guest& guest);
  void Finish(Guest& guest);
  void Refuse(std::uint32_t id, std::string error, int connect_errno = 0);
  void Deliver(Arrival arrival);
  void Wake() noexcept;

  std::function<void()> notify_;
  UniqueFd wake_;
  const std::size_t max_accepted_;
  // Of all its sessions, which one event loop drives.
  const std::shared_ptr<WakeUpWriter> writer_ = std::make_shared<WakeUpWriter>();

  std::mutex mutex_;
  std::vector<Listener> new_listeners_;
  std::vector<std::uint32_t> stopped_;
  std::vector<Call> calls_;
  std::vector<Arrival> arrivals_;
  bool ending_ = false;

  // Only the thread touches these.
  std::vector<Listener> listeners_;
  std::vector<Guest> guests_;
  std::vector<Call> waiting_;  // to be dialled again

  std::thread thread_;
};

}  // namespace shm
