// The two clocks of an event's stamp, as types that can't be mixed.
//
// Values only; reading a clock is the edge's part.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace runledger {

// CLOCK_REALTIME: microseconds since the Unix epoch, UTC. Comparable between hosts as far as their clocks agree.
using WallTime = std::chrono::sys_time<std::chrono::microseconds>;

// CLOCK_BOOTTIME: microseconds since the kernel booted, suspend included. Never stepped; comparable only within
// one BootId.
struct BootTime {
    std::chrono::microseconds since_boot{};

    friend constexpr auto operator<=>(const BootTime&, const BootTime&) = default;
};

// When the edge received an event.
struct Stamp {
    WallTime received_at{};
    BootTime boottime{};

    friend constexpr auto operator<=>(const Stamp&, const Stamp&) = default;
};

}  // namespace runledger
