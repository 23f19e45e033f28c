// The daemon's configuration, from one TOML file (toml++). docs/settings.md says what each key does.
//
// Read once, at start, by main; everything else gets its part by value. Every key but [postgres] uri has a default.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "daemon/base/log.hpp"
#include "daemon/net/curve.hpp"
#include "daemon/notify/settings.hpp"
#include "daemon/reconcile/settings.hpp"

namespace runledger {

// The file can't be read, is no TOML, or a key is unknown or has a value that can't be. what() is a sentence that
// names file, key and value: print it and exit with 1.
class ConfigError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Config {
    struct Intake {
        std::vector<std::string> bind{"ipc:///run/runledger/daemon.sock"};
        std::optional<CurveServer> curve;  // For what is tcp://.
    } intake;

    struct Postgres {
        std::string uri;         // libpq's connection URI or key=value string.
        std::string direct_uri;  // Past a pooler, for migrate; the same as uri unless given.
        unsigned appliers{2};    // Connections that apply batches, 1 to 64.
    } postgres;

    struct Settle {
        std::chrono::milliseconds outputs_grace{3000};  // A completed notice without outputs waits this long.
        std::chrono::seconds duration_max{std::chrono::hours{24 * 7}};  // A longer duration is not believed.
    } settle;

    // How long rows are kept, in days; 0: for good.
    struct Retention {
        unsigned webhook_events_days{0};
        unsigned runs_days{0};  // Of settled runs, since the last event.
        unsigned notifications_days{0};
        unsigned settlements_days{0};  // Of those that a newer one has replaced.
        unsigned quarantine_days{0};
        unsigned tombstones_days{0};
    } retention;

    TelegramSettings telegram;

    ReconcileSettings comfydeploy;

    struct Metrics {
        std::string listen{"127.0.0.1:9464"};  // Empty: none.
    } metrics;

    LogSettings log;
};

// Throws ConfigError.
[[nodiscard]] Config load_config(const std::filesystem::path& path);

}  // namespace runledger
