// What the log is told of the daemons' coming and going: each change once, and of a daemon that flaps no more than two
// lines in ten seconds; what was left out is counted, and the last word is always how it is.
//
// Used by the courier's thread alone.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "nginx-module/log/edge_log.hpp"

namespace runledger::edge {

class ConnectionLog {
public:
    using SteadyTime = std::chrono::steady_clock::time_point;
    static constexpr std::chrono::seconds repeat_after{10};
    static constexpr std::chrono::seconds patience_at_start{5};

    // `endpoints` must outlive this.
    ConnectionLog(EdgeLog& log, const std::vector<std::string>& endpoints, SteadyTime now);

    void on_up(std::size_t peer, SteadyTime now);
    void on_lost(std::size_t peer, SteadyTime now);
    // Said once for each reason until the handshake has succeeded: which side hangs up first is a race, so that one
    // cause shows itself by two reasons in turn.
    void on_handshake_failed(std::size_t peer, std::string_view reason);
    // Likewise.
    void on_unresolved(std::size_t peer, std::string_view reason);
    // Says what has been left unsaid, and who has not come since the start.
    void tend(SteadyTime now);
    [[nodiscard]] SteadyTime due_at() const noexcept;

private:
    struct Peer {
        bool is_up{false};
        bool said_up{false};
        SteadyTime up_again_at{};  // When "up" may be said again.
        SteadyTime down_again_at{};
        SteadyTime missing_at{};  // When to say that it has not come; max() once it was said, or has come.
        std::uint64_t unsaid{};
        std::set<std::string, std::less<>> failures;  // The reasons that were said; there are few.
    };

    void say_if_due(std::size_t peer, SteadyTime now);
    void say_failure(std::size_t peer, const std::string& what, std::string_view reason);
    [[nodiscard]] std::string standing() const;

    EdgeLog& log_;
    const std::vector<std::string>& endpoints_;
    std::vector<Peer> peers_;
};

}  // namespace runledger::edge
