// The link's settings and its figures. Plain values, free of ZeroMQ, for whoever configures the link or shows it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace runledger::edge {

struct CurveKeys;  // nginx-module/link/keys.hpp

struct WindowSettings {
    std::chrono::milliseconds resend_after{5000};
    std::chrono::milliseconds resend_after_max{60'000};
    std::chrono::milliseconds busy_pause_min{50};
    std::chrono::milliseconds busy_pause_max{2000};
};

struct DeliverySettings {
    WindowSettings window;
    std::chrono::milliseconds refused_retry_every{60'000};
    std::chrono::milliseconds retire_pause_max{60'000};
    std::chrono::milliseconds read_slice{50};  // After which a commit may come between two reads of stored batches.
    // A batch that was under way when so many daemons were lost, without an answer to it, may be the cause.
    std::uint8_t suspect_after{3};
    std::chrono::milliseconds suspect_spacing{20};  // Between two of them, so that the others flow.
    std::chrono::milliseconds suspect_pause{5000};  // After one that was lost again, alone.
};

struct LinkSettings {
    std::vector<std::string> endpoints;      // The daemons', at least one.
    std::shared_ptr<const CurveKeys> curve;  // For the endpoints that are tcp://. Nothing: plain.
    DeliverySettings delivery;               // No directive sets these; tests do.
};

struct LinkFigures {
    std::uint64_t peers_lost{};  // Connections to daemons that broke.
    std::uint64_t handshakes_failed{};
    std::uint64_t names_unresolved{};  // Look-ups of a daemon's name that failed, or took long.
    std::uint64_t endpoints_up{};      // Daemons' endpoints with a connection, now.
};

struct DeliveryFigures {
    // Since the courier's start.
    std::uint64_t batches_sent{};
    std::uint64_t batches_resent{};
    std::uint64_t batches_acked{};
    std::uint64_t batches_suspected{};
    std::uint64_t batches_convicted{};  // Daemons lost with a batch that was sent alone.
    std::uint64_t busy_answers{};
    std::uint64_t refused_answers{};
    std::uint64_t refused_retirements{};  // The ledger lacks what it had acknowledged: sent again.
    std::uint64_t unknown_answers{};      // Late, or none of ours, or not readable.

    // Now.
    std::uint64_t window_bytes{};
    std::uint64_t poison_batches{};  // Refused or suspect: they do not flow with the others.
};

}  // namespace runledger::edge
