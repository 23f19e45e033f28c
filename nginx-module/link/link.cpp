#include "nginx-module/link/link.hpp"

#include <algorithm>

namespace runledger::edge {

Link::Link(const std::vector<std::string>& endpoints, const CurveKeys* keys) {
    for (const std::string& endpoint : endpoints) {
        try {
            peers_.push_back(std::make_unique<LinkPeer>(context_, endpoint, keys));
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
    for (std::size_t peer = 0; peer < peers_.size(); ++peer) {
        if (peers_[peer]) {
            for (PeerEvent& event : peers_[peer]->take_events(now)) {
                figures_.peers_lost += event.kind == PeerEvent::Kind::lost ? 1 : 0;
                figures_.handshakes_failed += event.kind == PeerEvent::Kind::handshake_failed ? 1 : 0;
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
    for (const auto& peer : peers_) {
        if (peer) {
            peer->add_poll_items(items);
        }
    }
}

}  // namespace runledger::edge
