// The status table's figures as named metrics, and the two forms in which they are served.
//
// Both forms are made from the same families, so they can't disagree. Names, labels and their values are all of our
// own choosing and hold nothing that either form would have to escape. Plain C++, no nginx.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "nginx-module/status/figures.hpp"

namespace runledger::edge {

enum class MetricType : std::uint8_t { counter, gauge, histogram };

struct MetricSample {
    std::string label_value;  // Empty where the family has no label.
    std::uint64_t value{};
};

struct MetricFamily {
    std::string_view name;  // Without the "runledger_edge_" before it.
    std::string_view help;
    MetricType type{};
    std::string_view label;  // The one that tells the samples apart; empty: there is one sample.
    std::vector<MetricSample> samples;
    std::chrono::microseconds sum{};  // A histogram's; its samples are cumulated, and the last one is the count.
};

using MetricFamilies = std::vector<MetricFamily>;

// What is configured, and shown beside what has happened.
struct StatusBounds {
    std::uint64_t spool_bytes_max{};
    std::uint64_t daemon_endpoints{};
};

[[nodiscard]] MetricFamilies metric_families(const StatusFigures& figures, const StatusBounds& bounds);

// Seconds with all six digits of the microseconds, exact: "12.000345". Precondition: not negative.
[[nodiscard]] inline std::string to_seconds_text(std::chrono::microseconds duration) {
    constexpr std::int64_t million = 1'000'000;
    std::string digits = std::to_string(million + duration.count() % million);  // "1000345": the one keeps the zeros.
    digits.front() = '.';
    return std::to_string(duration.count() / million) + digits;
}

// Prometheus' text format 0.0.4.
[[nodiscard]] std::string to_prometheus_text(const MetricFamilies& families);

// One object: a member for each family, which is its number, or an object of its samples by their label's value, or
// for a histogram an object of its count, sum and buckets.
[[nodiscard]] std::string to_json(const MetricFamilies& families);

}  // namespace runledger::edge
