// How fast the daemon works: its counters, looked at every few seconds, and the last hour of them.
//
// Bounded by an hour of samples. Any thread.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

namespace runledger {

// Counters since the daemon's start.
struct WorkTotals {
    std::uint64_t events{0};
    std::uint64_t settlements{0};
    std::uint64_t messages{0};
};

struct WorkRates {
    // Per second, over the last minute, or over as much of it as there was.
    double events{0};
    double settlements{0};
    double messages{0};
    std::uint64_t events_of_hour{0};
    // Events of each minute of the last hour, the oldest first; fewer if the daemon has run for less.
    std::vector<std::uint64_t> events_by_minute{};
};

class RateHistory {
public:
    using Time = std::chrono::steady_clock::time_point;
    static constexpr std::chrono::seconds interval{5};

    // At intervals of about `interval`.
    void add(Time now, const WorkTotals& totals);
    [[nodiscard]] WorkRates rates() const;

private:
    struct Sample {
        Time at;
        WorkTotals totals;
    };
    mutable std::mutex mutex_;
    std::deque<Sample> samples_;  // The newest last.
};

}  // namespace runledger
