// How long something took from its receipt, for the metrics: a histogram of fixed buckets, from tenths of a second, as
// when all is well, to a week, as when events have waited in a spool.
//
// Any thread observes and reads. A reader may see an observation in a bucket and not yet in the sum.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace runledger {

class LagHistogram {
public:
    // The buckets' upper bounds, included; a last bucket has all that is above.
    static constexpr std::array<std::chrono::microseconds, 17> bounds{
        std::chrono::milliseconds{10},  std::chrono::milliseconds{25},   std::chrono::milliseconds{50},
        std::chrono::milliseconds{100}, std::chrono::milliseconds{250},  std::chrono::milliseconds{500},
        std::chrono::seconds{1},        std::chrono::milliseconds{2500}, std::chrono::seconds{5},
        std::chrono::seconds{10},       std::chrono::seconds{30},        std::chrono::minutes{1},
        std::chrono::minutes{5},        std::chrono::minutes{15},        std::chrono::hours{1},
        std::chrono::hours{24},         std::chrono::hours{24 * 7}};

    // Less than nothing counts as nothing: the two clocks differ.
    void observe(std::chrono::microseconds lag) noexcept {
        const auto bucket = static_cast<std::size_t>(std::ranges::lower_bound(bounds, lag) - bounds.begin());
        counts_[bucket].fetch_add(1, std::memory_order_relaxed);
        const auto counted = std::max(lag, std::chrono::microseconds{0});
        sum_us_.fetch_add(static_cast<std::uint64_t>(counted.count()), std::memory_order_relaxed);
    }

    // Of each bucket by itself; the last one is of those above all bounds.
    [[nodiscard]] std::array<std::uint64_t, bounds.size() + 1> counts() const noexcept {
        std::array<std::uint64_t, bounds.size() + 1> read{};
        std::ranges::transform(counts_, read.begin(),
                               [](const auto& count) { return count.load(std::memory_order_relaxed); });
        return read;
    }
    [[nodiscard]] std::chrono::microseconds sum() const noexcept {
        return std::chrono::microseconds{sum_us_.load(std::memory_order_relaxed)};
    }

private:
    std::array<std::atomic<std::uint64_t>, bounds.size() + 1> counts_{};
    std::atomic<std::uint64_t> sum_us_{0};
};

}  // namespace runledger
