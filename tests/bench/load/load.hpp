// The load: so many connections to one server, driven by one thread and epoll, in a closed loop (each connection sends
// its next event when the last is answered) or an open one (events are due at a fixed rate, whatever the server does,
// and an event's latency counts from when it was due).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/bench/load/run_bodies.hpp"

namespace runledger::bench {

struct LoadOptions {
    std::uint16_t port{};
    std::string path{"/"};
    std::size_t connections{64};
    bool new_connection_each{false};  // A connection for each event, as the sender does; closed by the client.
    bool tls{false};
    std::optional<double> rate_per_second;  // An open loop.
    std::chrono::duration<double> span{5.0};
    std::optional<std::uint64_t> events_max;  // Ends earlier, when so many have been begun.
    BodyOptions bodies{};
};

struct LoadResult {
    std::map<int, std::uint64_t> answers;  // By status; 0: the connection failed.
    std::vector<std::int64_t> latency_ns;  // Of those answered.
    std::chrono::duration<double> took{};  // Up to the last answer.
    std::uint64_t body_bytes{};
    std::uint64_t runs{};
    std::uint64_t unanswered{};  // Begun or due, and given up when patience ran out.
};

// Throws std::runtime_error where the server can't be reached at all, std::system_error where the machine fails.
[[nodiscard]] LoadResult run_load(const LoadOptions& options);

}  // namespace runledger::bench
