// The status table's numbers as they were read at one moment, summed over the workers. Plain values.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "nginx-module/status/fields.hpp"
#include "nginx-module/status/nginx_cause.hpp"
#include "nginx-module/status/request_outcome.hpp"

namespace runledger::edge {

struct TokenUse {
    std::string name;
    std::uint64_t accepted{};
    std::uint64_t last_use_seconds{};  // Unix time; 0: never.
};

struct StatusFigures {
    std::uint64_t started_at_seconds{};  // Unix time at which the zone was made.
    std::array<std::uint64_t, outcome_words.size()> outcomes{};
    std::array<std::uint64_t, nginx_causes.size()> refusals_by_nginx{};
    std::array<std::uint64_t, counter_fields.size()> counters{};
    std::array<std::uint64_t, gauge_fields.size()> gauges{};
    std::vector<TokenUse> tokens;
    std::uint64_t workers{};
    std::array<std::uint64_t, commit_buckets.size() + 1> commits{};  // By bucket, not cumulated; the last is +Inf.
    std::chrono::microseconds commit_time_sum{};
};

}  // namespace runledger::edge
