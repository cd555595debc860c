#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/doorman.h"
#include "handshake_peer.h"

namespace shm::test {

// A directory for sockets, and a doorman whose arrivals can be waited for.
class Hotel {
 public:
  Hotel();
  ~Hotel();

  Doorman& doorman() { return *doorman_; }
  void Dismiss() { doorman_.reset(); }
  std::string Path(const std::string& name) const { return directory_ + "/" + name; }

  // A socket that listens without anybody accepting.
  UniqueFd Bind(const std::string& name, int backlog = 128);
  void Listen(std::uint32_t id, const std::string& name);
  Peer Dial(const std::string& name) const;

  // Waits for `count` arrivals, which come in the order of their ids.
  std::vector<Arrival> Await(std::size_t count);
  std::vector<Arrival> AwaitAny();
  // Returns when each call made so far was dialled once.
  void AwaitCalls();

 private:
  std::string directory_;
  std::vector<std::string> paths_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool news_ = false;
  std::unique_ptr<Doorman> doorman_;
};

// The next call to a server that the test plays.
Peer Answer(const UniqueFd& listener);

bool IsSession(const Arrival& arrival);

}  // namespace shm::test
