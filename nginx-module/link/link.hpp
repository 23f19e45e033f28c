// The connections to all daemons, as the courier uses them: send to one, receive from any, learn who came and went.
//
// Made, used and destroyed in one thread, after the fork: a context from before a fork fails for ever. Never blocks:
// what can't be sent now is not sent, and nothing lingers at the end, since the spool has it.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "nginx-module/link/link_settings.hpp"
#include "nginx-module/link/peer.hpp"

namespace runledger::edge {

class Link {
public:
    using SteadyTime = LinkPeer::SteadyTime;

    // Throws zmq::error_t if ZeroMQ gives us no socket. Endpoints that it refuses are in bad_endpoints(), and never
    // up. `keys`, which must outlive this, are used where an endpoint is tcp://.
    Link(const std::vector<std::string>& endpoints, const CurveKeys* keys);

    // False if that daemon is not connected or its queue is full: add_poll_items() then asks for room there.
    [[nodiscard]] bool send(std::size_t peer, std::span<const std::byte> frame);

    struct Received {
        std::size_t peer{};
        zmq::message_t message;
    };
    // The next message that waits, from one daemon after the other.
    [[nodiscard]] std::optional<Received> receive();

    struct Change {
        std::size_t peer{};
        PeerEvent event;
    };
    // What has happened since the last call, in order for each daemon. Opens again what is due.
    [[nodiscard]] std::vector<Change> take_changes(SteadyTime now);

    [[nodiscard]] LinkFigures figures() const noexcept;
    [[nodiscard]] const std::vector<std::string>& bad_endpoints() const noexcept { return bad_endpoints_; }
    [[nodiscard]] SteadyTime due_at() const noexcept;
    void add_poll_items(std::vector<zmq_pollitem_t>& items);

private:
    zmq::context_t context_;                        // The first, so that it ends last and waits for nothing.
    std::vector<std::unique_ptr<LinkPeer>> peers_;  // Nothing where the endpoint is bad.
    std::vector<std::string> bad_endpoints_;
    LinkFigures figures_;  // Without endpoints_up.
    std::size_t turn_{};
};

}  // namespace runledger::edge
