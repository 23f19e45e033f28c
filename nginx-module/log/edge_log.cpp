#include "nginx-module/log/edge_log.hpp"

#include <utility>

namespace runledger::edge {

void EdgeLog::add(LogLine::Level level, std::string_view kind, std::string_view text) noexcept {
    try {
        const auto now = clock_();
        {
            const std::scoped_lock lock(mutex_);
            const auto [found, is_new] = kinds_.try_emplace(kind);
            Kind& seen = found->second;
            if (!is_new && now - seen.printed_at < repeat_after) {
                ++seen.unprinted;
                return;
            }
            if (lines_.size() >= lines_max) {
                ++dropped_;
                return;
            }
            LogLine line{.level = level, .text = std::string(kind).append(": ").append(text)};
            if (seen.unprinted > 0) {
                line.text += " (" + std::to_string(seen.unprinted) + " more like this were not printed)";
            }
            lines_.push_back(std::move(line));
            seen = {.printed_at = now, .unprinted = 0};
        }
        if (wake_) {
            wake_();
        }
    } catch (const std::exception&) {
        // No memory for a log line: what it reports is counted elsewhere, and the courier goes on.
    }
}

void EdgeLog::say(LogLine::Level level, std::string text) noexcept {
    try {
        {
            const std::scoped_lock lock(mutex_);
            if (lines_.size() >= lines_max) {
                ++dropped_;
                return;
            }
            lines_.push_back({.level = level, .text = std::move(text)});
        }
        if (wake_) {
            wake_();
        }
    } catch (const std::exception&) {
        // As in add().
    }
}

std::vector<LogLine> EdgeLog::take() {
    const std::scoped_lock lock(mutex_);
    if (dropped_ > 0) {
        lines_.push_back({.level = LogLine::Level::warn,
                          .text = std::to_string(dropped_) + " log lines of the courier were dropped"});
        dropped_ = 0;
    }
    return std::exchange(lines_, {});
}

}  // namespace runledger::edge
