#include "nginx-module/link.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "common/limits.hpp"
#include "nginx-module/link_window.hpp"

namespace runledger::edge {
namespace {

constexpr const char* monitor_address = "inproc://runledger-link-monitor";

constexpr int reconnect_min_ms = 100;
constexpr int reconnect_max_ms = 2000;
constexpr int heartbeat_every_ms = 2000;
constexpr int heartbeat_timeout_ms = 6000;
constexpr int handshake_timeout_ms = 5000;

// The window's batches, one retirement for each open segment, and a margin: the socket's queue is never the bound.
constexpr int queue_messages_max = static_cast<int>(window_batches_max) + 256;

// An answer is a few dozen bytes; whoever sends more is no daemon of ours and is cut off.
constexpr std::int64_t answer_bytes_max = static_cast<std::int64_t>(wire_overhead_bytes_max);

void prepare(zmq::socket_t& dealer) {
    dealer.set(zmq::sockopt::linger, 0);
    // Without it, messages would queue for a daemon that was never there, out of our sight.
    dealer.set(zmq::sockopt::immediate, true);
    dealer.set(zmq::sockopt::sndhwm, queue_messages_max);
    dealer.set(zmq::sockopt::rcvhwm, queue_messages_max);
    dealer.set(zmq::sockopt::maxmsgsize, answer_bytes_max);
    dealer.set(zmq::sockopt::reconnect_ivl, reconnect_min_ms);
    dealer.set(zmq::sockopt::reconnect_ivl_max, reconnect_max_ms);
    dealer.set(zmq::sockopt::handshake_ivl, handshake_timeout_ms);
    dealer.set(zmq::sockopt::connect_timeout, handshake_timeout_ms);
    // A peer that is gone without a word, as a host that lost its power is, is noticed within the timeout.
    dealer.set(zmq::sockopt::heartbeat_ivl, heartbeat_every_ms);
    dealer.set(zmq::sockopt::heartbeat_timeout, heartbeat_timeout_ms);
    dealer.set(zmq::sockopt::heartbeat_ttl, heartbeat_timeout_ms);
    dealer.set(zmq::sockopt::ipv6, true);
}

}  // namespace

Link::Link(const std::vector<std::string>& endpoints)
    : dealer_(context_, zmq::socket_type::dealer), monitor_(context_, zmq::socket_type::pair) {
    prepare(dealer_);
    monitor_.set(zmq::sockopt::linger, 0);
    // Unbounded: a full queue would block ZeroMQ's own thread inside the monitor, and the end of the socket with it.
    // Two events come with each connection, and reconnecting is slowed down.
    monitor_.set(zmq::sockopt::rcvhwm, 0);
    // The handshake, not the TCP connection: only then is there a daemon that speaks our protocol.
    if (zmq_socket_monitor(dealer_, monitor_address, ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED) != 0) {
        throw zmq::error_t();
    }
    monitor_.connect(monitor_address);
    for (const std::string& endpoint : endpoints) {
        try {
            dealer_.connect(endpoint);
        } catch (const zmq::error_t&) {
            bad_endpoints_.push_back(endpoint);  // Checked with the configuration; what slips through is logged.
        }
    }
}

Link::~Link() {
    // Before its reader goes, or an event that comes now would find nobody and block. The result is of no use here.
    (void)zmq_socket_monitor(dealer_, nullptr, 0);
}

bool Link::send(std::span<const std::byte> frame) {
    return dealer_.send(zmq::const_buffer(frame.data(), frame.size()), zmq::send_flags::dontwait).has_value();
}

std::optional<zmq::message_t> Link::receive() {
    zmq::message_t message;
    if (!dealer_.recv(message, zmq::recv_flags::dontwait)) {
        return std::nullopt;
    }
    return message;
}

std::vector<LinkChange> Link::take_changes() {
    std::vector<LinkChange> changes;
    zmq::message_t event;
    while (monitor_.recv(event, zmq::recv_flags::dontwait)) {
        // zmq_socket_monitor(3): a frame of a 16-bit event and a 32-bit value, then a frame with the endpoint.
        zmq::message_t endpoint;
        if (event.size() < sizeof(std::uint16_t) || !monitor_.recv(endpoint, zmq::recv_flags::dontwait)) {
            continue;
        }
        std::uint16_t number = 0;
        std::memcpy(&number, event.data(), sizeof number);
        const bool is_connected = number == ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
        std::string name = endpoint.to_string();
        const auto known = connected_.find(name);
        if (is_connected) {
            ++connected_[name];
        } else if (known == connected_.end()) {
            continue;  // A connection that broke before its handshake.
        } else if (--known->second == 0) {
            connected_.erase(known);
        }
        changes.push_back({.is_connected = is_connected, .endpoint = std::move(name)});
    }
    return changes;
}

}  // namespace runledger::edge
