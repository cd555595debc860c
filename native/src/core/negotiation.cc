#include "negotiation.h"

#include <algorithm>
#include <utility>

#include "control_message.h"

namespace shm {
namespace {

using namespace control;

class Negotiation final : public Handshake {
 public:
  Negotiation(UniqueFd socket, const ServerOptions& options, std::span<const Protocol> protocols)
      : Handshake(std::move(socket)), options_(options), protocols_(protocols) {}

  HandshakeState Step() override {
    while (!chosen_) {
      if (!error_.empty()) return HandshakeState::kFailed;
      const auto state = Fill(kHeaderBytes);
      if (state != HandshakeState::kDone) return state;
      const auto version = std::to_integer<std::uint8_t>(input_[6]);
      const auto type = std::to_integer<std::uint8_t>(input_[7]);
      const auto found = std::ranges::find_if(protocols_, [&](const Protocol& protocol) {
        return protocol.version == version && protocol.type == type &&
               protocol.introduced == introduced_;
      });
      if (found != protocols_.end()) {
        chosen_ = found->start(
            {std::move(parts_.control), version, type, std::move(input_), std::move(fds_)}, options_);
      } else if (!Introduce()) {
        return HandshakeState::kFailed;
      }
    }
    return chosen_->Step();
  }

  SessionParts& parts() noexcept override { return chosen_ ? chosen_->parts() : parts_; }
  const std::string& error() const noexcept override { return chosen_ ? chosen_->error() : error_; }

 private:
  // What nobody speaks is an ExchangeVersion, once, or says why it is not.
  bool Introduce() {
    std::size_t length = 0;
    if (!ReadHeader(introduced_ ? kShareMemoryByMemfd : kExchangeVersion, kHeaderBytes, kHeaderBytes,
                    length)) {
      return false;
    }
    if (std::exchange(introduced_, true)) {
      Fail("message type " + std::to_string(kShareMemoryByMemfd) + " is not spoken here");
      return false;
    }
    input_.clear();
    return Send(Message(kExchangeVersion));
  }

  ServerOptions options_;
  std::span<const Protocol> protocols_;
  bool introduced_ = false;
  std::unique_ptr<Handshake> chosen_;
};

}  // namespace

std::unique_ptr<Handshake> Negotiate(UniqueFd socket, const ServerOptions& options,
                                     std::span<const Protocol> protocols) {
  return std::make_unique<Negotiation>(std::move(socket), options, protocols);
}

}  // namespace shm
