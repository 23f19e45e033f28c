// Where log lines go: standard error, one line each, as text or JSON. journald or the operator keeps them.
#pragma once

#include <cstdint>
#include <string>

namespace runledger {

enum class LogFormat : std::uint8_t { text, json };

struct LogSettings {
    std::string level{"info"};  // trace, debug, info, warn, error
    LogFormat format{LogFormat::text};

    bool operator==(const LogSettings&) const = default;
};

// Sets up spdlog's default logger. Called once, before other threads.
void start_log(const LogSettings& settings);

// The same logger by other settings. From any thread.
void change_log(const LogSettings& settings);

}  // namespace runledger
