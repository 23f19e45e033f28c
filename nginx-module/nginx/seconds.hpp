// Durations as text, for logs and metrics. Plain C++, no nginx.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace runledger::edge {

// Seconds with all six digits of the microseconds, exact: "12.000345". Precondition: not negative.
[[nodiscard]] inline std::string to_seconds_text(std::chrono::microseconds duration) {
    constexpr std::int64_t million = 1'000'000;
    std::string digits = std::to_string(million + duration.count() % million);  // "1000345": the one keeps the zeros.
    digits.front() = '.';
    return std::to_string(duration.count() / million) + digits;
}

}  // namespace runledger::edge
