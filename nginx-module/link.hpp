// The ZeroMQ DEALER to the daemons, and the monitor that tells when a connection comes or goes.
//
// Made, used and destroyed in one thread, after the fork: a context from before a fork fails for ever. Never blocks:
// what can't be sent now is not sent, and nothing lingers at the end, since the spool has it.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <zmq.hpp>

namespace runledger::edge {

struct LinkChange {
    bool is_connected{};
    std::string endpoint;
};

class Link {
public:
    // Throws zmq::error_t if ZeroMQ gives us no socket. Endpoints that it refuses are in bad_endpoints(); the others
    // are connected to in the background, for as long as it takes.
    explicit Link(const std::vector<std::string>& endpoints);
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;
    ~Link();

    // False if there is no connection or its queue is full: wait until socket() is writable.
    [[nodiscard]] bool send(std::span<const std::byte> frame);
    // The next message that waits. Parts of a message of several count as messages.
    [[nodiscard]] std::optional<zmq::message_t> receive();
    // Connections made and lost since the last call, in order.
    [[nodiscard]] std::vector<LinkChange> take_changes();

    [[nodiscard]] std::size_t endpoints_up() const noexcept { return connected_.size(); }
    [[nodiscard]] bool is_up() const noexcept { return !connected_.empty(); }
    [[nodiscard]] const std::vector<std::string>& bad_endpoints() const noexcept { return bad_endpoints_; }

    // For zmq_poll.
    [[nodiscard]] void* socket() noexcept { return static_cast<void*>(dealer_); }
    [[nodiscard]] void* monitor() noexcept { return static_cast<void*>(monitor_); }

private:
    // In the order of construction; destroyed in reverse, so that the context ends last and waits for nothing.
    zmq::context_t context_;
    zmq::socket_t dealer_;
    zmq::socket_t monitor_;
    std::vector<std::string> bad_endpoints_;
    std::map<std::string, std::size_t> connected_;  // Connections of each endpoint that has any.
};

}  // namespace runledger::edge
