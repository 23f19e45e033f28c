#include "nginx-module/link/link.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <system_error>

#include "common/limits.hpp"
#include "nginx-module/link/resources.hpp"
#include "nginx-module/link/window.hpp"

namespace runledger::edge {
namespace {

constexpr int reconnect_min_ms = 100;
constexpr int reconnect_max_ms = 2000;
constexpr std::chrono::milliseconds reconnect_pause_max{reconnect_max_ms};
constexpr int heartbeat_every_ms = 2000;
constexpr int heartbeat_timeout_ms = 6000;
constexpr int handshake_timeout_ms = 5000;
constexpr std::chrono::milliseconds reopen_pause_min{100};
constexpr std::chrono::milliseconds reopen_pause_max{5000};
constexpr std::chrono::milliseconds lookup_patience{5000};  // glibc's resolver asks each server again after as long.

// The window's batches, one retirement for each open segment, and a margin: the socket's queue is never the bound.
constexpr int queue_messages_max = static_cast<int>(window_batches_max) + 256;

// An answer is a few dozen bytes; whoever sends more is no daemon of ours and is cut off.
constexpr std::int64_t answer_bytes_max = static_cast<std::int64_t>(wire_overhead_bytes_max);

constexpr int monitored_events = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED |
                                 ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                                 ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

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

std::string reason_of(std::uint16_t event, std::uint32_t value, bool has_curve) {
    switch (event) {
        case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
            return "the daemon does not let this edge's key in (status " + std::to_string(value) + ")";
        case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
            return has_curve ? "the daemon does not speak CURVE, or not with that key"
                             : "the daemon speaks CURVE and this edge does not, or it is no daemon";
        default:
            // A CURVE server that can't read the first message hangs up without a word.
            return has_curve ? "it was broken off, as by a daemon that has another key, or that ended or hangs"
                             : "it was broken off, as by a daemon that ended or hangs";
    }
}

}  // namespace

LinkPeer::LinkPeer(zmq::context_t& context, std::string endpoint, const CurveKeys* keys,
                   std::shared_ptr<const NameWake> wake)
    : context_(context),
      endpoint_(std::move(endpoint)),
      keys_(std::string_view{endpoint_}.starts_with("tcp://") ? keys : nullptr),
      wake_(std::move(wake)),
      name_(find_tcp_name(endpoint_)),
      reopen_pause_(reopen_pause_min) {
    if (!name_) {
        connect(endpoint_);
    }
}

LinkPeer::~LinkPeer() { close(); }

void LinkPeer::open(SteadyTime now, std::vector<PeerEvent>& events) {
    try {
        if (!name_) {
            connect(endpoint_);
        } else if (!addresses_.empty()) {
            const std::string address = std::move(addresses_.front());
            addresses_.erase(addresses_.begin());
            connect(address);
        } else {
            lookup_ = look_up(*name_, wake_);
            slow_lookup_at_ = now + lookup_patience;
        }
    } catch (const zmq::error_t&) {
        // ZeroMQ has no socket for us now, or no use for this one of the name's addresses; the endpoint was good
        // before.
        reopen_at_ = addresses_.empty() ? now + reopen_pause_max : now;
    } catch (const std::system_error& e) {
        events.push_back({.kind = PeerEvent::Kind::unresolved, .reason = std::string{"no thread for it: "} + e.what()});
        reopen_at_ = now + reopen_pause_max;
    }
}

void LinkPeer::take_answer(SteadyTime now, std::vector<PeerEvent>& events) {
    if (lookup_.wait_for(std::chrono::seconds{0}) != std::future_status::ready) {
        if (now >= slow_lookup_at_) {
            slow_lookup_at_ = SteadyTime::max();
            events.push_back({.kind = PeerEvent::Kind::unresolved, .reason = "no answer for five seconds"});
        }
        return;
    }
    NameAnswer answer;
    try {
        answer = lookup_.get();
    } catch (const std::bad_alloc& e) {
        answer.fault = e.what();  // The look-up's thread had no memory; this one goes on.
    }
    addresses_ = std::move(answer.endpoints);
    if (addresses_.empty()) {
        events.push_back({.kind = PeerEvent::Kind::unresolved, .reason = std::move(answer.fault)});
        reopen_later(now, reopen_pause_max);
    } else {
        open(now, events);
    }
}

void LinkPeer::reopen_later(SteadyTime now, std::chrono::milliseconds pause_max) noexcept {
    if (!addresses_.empty()) {
        reopen_at_ = now;
        return;
    }
    reopen_at_ = now + reopen_pause_;
    reopen_pause_ = std::min(reopen_pause_ * 2, pause_max);
}

void LinkPeer::connect(const std::string& endpoint) {
    try {
        dealer_.emplace(context_, zmq::socket_type::dealer);
        prepare(*dealer_);
        if (keys_ != nullptr) {
            dealer_->set(zmq::sockopt::curve_secretkey, keys_->secret);
            dealer_->set(zmq::sockopt::curve_publickey, keys_->own_public);
            dealer_->set(zmq::sockopt::curve_serverkey, keys_->daemons[key_ % keys_->daemons.size()]);
        }
        monitor_.emplace(context_, zmq::socket_type::pair);
        monitor_->set(zmq::sockopt::linger, 0);
        // Unbounded: a full queue would block ZeroMQ's own thread inside the monitor, and the end of the socket with
        // it. Two events come with each connection, and reconnecting is slowed down.
        monitor_->set(zmq::sockopt::rcvhwm, 0);
        // The handshake, not the TCP connection: only then is there a daemon that speaks our protocol. A name is not
        // free at once when its socket is closed, so each opening has its own.
        const std::string address = "inproc://monitor-" + endpoint_ + "-" + std::to_string(openings_++);
        const int events = name_ ? monitored_events | ZMQ_EVENT_CONNECT_RETRIED : monitored_events;
        if (zmq_socket_monitor(*dealer_, address.c_str(), events) != 0) {
            throw zmq::error_t();
        }
        monitor_->connect(address);
        dealer_->connect(endpoint);
    } catch (...) {
        close();
        throw;
    }
}

void LinkPeer::close() noexcept {
    if (dealer_) {
        // Before its reader goes, or an event that comes now would find nobody and block. The result is of no use.
        (void)zmq_socket_monitor(*dealer_, nullptr, 0);
    }
    monitor_.reset();
    dealer_.reset();
    is_up_ = false;
}

bool LinkPeer::send(std::span<const std::byte> frame) {
    const bool taken =
        dealer_ && dealer_->send(zmq::const_buffer(frame.data(), frame.size()), zmq::send_flags::dontwait).has_value();
    wants_to_send_ = !taken;
    return taken;
}

std::optional<zmq::message_t> LinkPeer::receive() {
    zmq::message_t message;
    if (!dealer_ || !dealer_->recv(message, zmq::recv_flags::dontwait)) {
        return std::nullopt;
    }
    return message;
}

std::vector<PeerEvent> LinkPeer::take_events(SteadyTime now) {
    std::vector<PeerEvent> events;
    if (lookup_.valid()) {
        take_answer(now, events);
    } else if (!dealer_ && now >= reopen_at_) {
        open(now, events);
    }
    zmq::message_t event;
    while (monitor_ && monitor_->recv(event, zmq::recv_flags::dontwait)) {
        // zmq_socket_monitor(3): a frame of a 16-bit event and a 32-bit value, then a frame with the endpoint.
        zmq::message_t address;
        std::uint16_t number = 0;
        std::uint32_t value = 0;
        if (event.size() < sizeof number + sizeof value || !monitor_->recv(address, zmq::recv_flags::dontwait)) {
            continue;
        }
        std::memcpy(&number, event.data(), sizeof number);
        std::memcpy(&value, event.data<char>() + sizeof number, sizeof value);
        if (number == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            is_up_ = true;
            reopen_pause_ = reopen_pause_min;
            events.push_back({.kind = PeerEvent::Kind::up, .reason = {}});
        } else if (number == ZMQ_EVENT_DISCONNECTED && is_up_) {
            is_up_ = false;
            events.push_back({.kind = PeerEvent::Kind::lost, .reason = {}});
            if (name_) {  // It may have another address now, as after a failover.
                addresses_.clear();
                close();
                reopen_later(now, reconnect_pause_max);
            }
        } else if (number == ZMQ_EVENT_CONNECT_RETRIED) {
            close();  // It would only ever try this one of the name's addresses.
            reopen_later(now, reconnect_pause_max);
        } else if (number != ZMQ_EVENT_DISCONNECTED || keys_ != nullptr) {
            events.push_back(
                {.kind = PeerEvent::Kind::handshake_failed, .reason = reason_of(number, value, keys_ != nullptr)});
            close();
            key_ += addresses_.empty() ? 1 : 0;  // Each key with each address.
            reopen_later(now, reopen_pause_max);
        }
    }
    return events;
}

void LinkPeer::add_poll_items(std::vector<zmq_pollitem_t>& items) {
    if (!dealer_) {
        return;
    }
    const int events = wants_to_send_ ? ZMQ_POLLIN | ZMQ_POLLOUT : ZMQ_POLLIN;
    wants_to_send_ = false;
    items.push_back(
        {.socket = static_cast<void*>(*dealer_), .fd = 0, .events = static_cast<short>(events), .revents = 0});
    items.push_back({.socket = static_cast<void*>(*monitor_), .fd = 0, .events = ZMQ_POLLIN, .revents = 0});
}

LinkPeer::SteadyTime LinkPeer::due_at() const noexcept {
    if (dealer_) {
        return SteadyTime::max();
    }
    return lookup_.valid() ? slow_lookup_at_ : reopen_at_;
}

Link::Link(const std::vector<std::string>& endpoints, const CurveKeys* keys) : names_(std::make_shared<NameWake>()) {
    check_resources_for_zeromq();
    // The context starts its threads with its first socket: now, when there are threads, whatever the peers need.
    const zmq::socket_t starter(context_, zmq::socket_type::pair);
    for (const std::string& endpoint : endpoints) {
        try {
            peers_.push_back(std::make_unique<LinkPeer>(context_, endpoint, keys, names_));
        } catch (const zmq::error_t& e) {
            if (e.num() == EMFILE || e.num() == ENFILE || e.num() == ENOMEM) {
                throw;  // Not the endpoint's fault.
            }
            bad_endpoints_.push_back(endpoint + ": " +
                                     e.what());  // The configuration was checked, as far as that goes.
            peers_.push_back(nullptr);
        }
    }
}

bool Link::send(std::size_t peer, std::span<const std::byte> frame) {
    return peers_[peer] && peers_[peer]->send(frame);
}

std::optional<Link::Received> Link::receive() {
    for (std::size_t i = 0; i < peers_.size(); ++i) {
        const std::size_t peer = turn_++ % peers_.size();
        if (peers_[peer]) {
            if (auto message = peers_[peer]->receive()) {
                return Received{.peer = peer, .message = std::move(*message)};
            }
        }
    }
    return std::nullopt;
}

std::vector<Link::Change> Link::take_changes(SteadyTime now) {
    std::vector<Change> changes;
    names_->drain();  // Before the look-ups' answers are taken: one that comes in between signals again.
    for (std::size_t peer = 0; peer < peers_.size(); ++peer) {
        if (peers_[peer]) {
            for (PeerEvent& event : peers_[peer]->take_events(now)) {
                figures_.peers_lost += event.kind == PeerEvent::Kind::lost ? 1 : 0;
                figures_.handshakes_failed += event.kind == PeerEvent::Kind::handshake_failed ? 1 : 0;
                figures_.names_unresolved += event.kind == PeerEvent::Kind::unresolved ? 1 : 0;
                changes.push_back({.peer = peer, .event = std::move(event)});
            }
        }
    }
    return changes;
}

LinkFigures Link::figures() const noexcept {
    LinkFigures figures = figures_;
    figures.endpoints_up = static_cast<std::uint64_t>(
        std::count_if(peers_.begin(), peers_.end(), [](const auto& peer) { return peer && peer->is_up(); }));
    return figures;
}

Link::SteadyTime Link::due_at() const noexcept {
    SteadyTime due = SteadyTime::max();
    for (const auto& peer : peers_) {
        due = peer ? std::min(due, peer->due_at()) : due;
    }
    return due;
}

void Link::add_poll_items(std::vector<zmq_pollitem_t>& items) {
    items.push_back({.socket = nullptr, .fd = names_->get(), .events = ZMQ_POLLIN, .revents = 0});
    for (const auto& peer : peers_) {
        if (peer) {
            peer->add_poll_items(items);
        }
    }
}

}  // namespace runledger::edge
