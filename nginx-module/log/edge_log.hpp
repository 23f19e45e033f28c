// The courier's log lines on their way to nginx's log, which only the event loop may write.
//
// Bounded: a line whose kind was printed a moment ago is counted instead, and the next one of its kind says how many;
// lines over the queue's bound are counted, too. Any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace runledger::edge {

// A line for nginx's log, written by the loop on the courier's behalf.
struct LogLine {
    enum class Level : std::uint8_t { crit, error, warn, notice, info };
    Level level{};
    std::string text;
};

class EdgeLog {
public:
    static constexpr std::size_t lines_max = 256;
    static constexpr std::chrono::seconds repeat_after{10};

    using SteadyClock = std::function<std::chrono::steady_clock::time_point()>;

    // `wake` is called after a line was queued, without the lock.
    explicit EdgeLog(std::function<void()> wake = {}, SteadyClock clock = std::chrono::steady_clock::now)
        : wake_(std::move(wake)), clock_(std::move(clock)) {}

    // Queues "<kind>: <text>". `kind` is a literal that says what happened, whichever segment or endpoint it happened
    // to. Never throws: a line that memory does not suffice for is lost.
    void add(LogLine::Level level, std::string_view kind, std::string_view text) noexcept;

    // Queues a line whatever was printed before: for a caller that bounds its repeats itself. Never throws, as add().
    void say(LogLine::Level level, std::string text) noexcept;

    [[nodiscard]] std::vector<LogLine> take();

private:
    struct Kind {
        std::chrono::steady_clock::time_point printed_at{};
        std::uint64_t unprinted{};
    };

    std::function<void()> wake_;
    SteadyClock clock_;
    std::mutex mutex_;
    std::vector<LogLine> lines_;
    std::map<std::string_view, Kind> kinds_;
    std::uint64_t dropped_{};
};

}  // namespace runledger::edge
