#include "nginx-module/link/connection_log.hpp"

#include <algorithm>

namespace runledger::edge {

ConnectionLog::ConnectionLog(EdgeLog& log, const std::vector<std::string>& endpoints, SteadyTime now)
    : log_(log), endpoints_(endpoints), peers_(endpoints.size()) {
    for (Peer& peer : peers_) {
        peer.missing_at = now + patience_at_start;
    }
}

void ConnectionLog::on_up(std::size_t peer, SteadyTime now) {
    peers_[peer].is_up = true;
    peers_[peer].missing_at = SteadyTime::max();
    peers_[peer].failures.clear();
    ++peers_[peer].unsaid;
    say_if_due(peer, now);
}

void ConnectionLog::on_lost(std::size_t peer, SteadyTime now) {
    peers_[peer].is_up = false;
    ++peers_[peer].unsaid;
    say_if_due(peer, now);
}

void ConnectionLog::on_handshake_failed(std::size_t peer, std::string_view reason) {
    say_failure(peer, "handshake failed: ", reason);
}

void ConnectionLog::on_unresolved(std::size_t peer, std::string_view reason) {
    say_failure(peer, "name not resolved: ", reason);
}

void ConnectionLog::say_failure(std::size_t peer, const std::string& what, std::string_view reason) {
    if (!peers_[peer].failures.emplace(reason).second) {
        return;
    }
    peers_[peer].missing_at = SteadyTime::max();
    log_.say(LogLine::Level::error, what + endpoints_[peer] + ": " + std::string{reason});
}

void ConnectionLog::say_if_due(std::size_t peer, SteadyTime now) {
    Peer& it = peers_[peer];
    SteadyTime& again_at = it.is_up ? it.up_again_at : it.down_again_at;
    if (it.is_up == it.said_up || now < again_at) {
        return;
    }
    std::string line = (it.is_up ? "link up: " : "link down: ") + endpoints_[peer] + standing();
    if (it.unsaid > 1) {
        line += " (" + std::to_string(it.unsaid - 1) + " changes before this were not printed)";
    }
    log_.say(LogLine::Level::notice, std::move(line));
    it.said_up = it.is_up;
    it.unsaid = 0;
    again_at = now + repeat_after;
}

std::string ConnectionLog::standing() const {
    const auto up = std::count_if(peers_.begin(), peers_.end(), [](const Peer& peer) { return peer.is_up; });
    return ", " + std::to_string(up) + " of " + std::to_string(peers_.size()) + " daemons connected";
}

void ConnectionLog::tend(SteadyTime now) {
    for (std::size_t peer = 0; peer < peers_.size(); ++peer) {
        say_if_due(peer, now);
        if (now >= peers_[peer].missing_at) {
            peers_[peer].missing_at = SteadyTime::max();
            log_.say(LogLine::Level::notice, "link not up yet: " + endpoints_[peer] + standing());
        }
    }
}

ConnectionLog::SteadyTime ConnectionLog::due_at() const noexcept {
    SteadyTime due = SteadyTime::max();
    for (const Peer& peer : peers_) {
        due = std::min(due, peer.missing_at);
        if (peer.is_up != peer.said_up) {
            due = std::min(due, peer.is_up ? peer.up_again_at : peer.down_again_at);
        }
    }
    return due;
}

}  // namespace runledger::edge
