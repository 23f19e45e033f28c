// The daemon's configuration, from one TOML file (toml++). docs/settings.md says what each key does.
//
// Read by main at the start, and again by each reload (reload.hpp). Each stage defines its own settings, in
// settings.hpp of its folder, and gets them by value; no stage knows this file. Every key but [postgres] uri has a
// default.
#pragma once

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "daemon/base/log.hpp"
#include "daemon/database/settings.hpp"
#include "daemon/ingest/settings.hpp"
#include "daemon/notify/settings.hpp"
#include "daemon/overview/settings.hpp"
#include "daemon/reconcile/settings.hpp"
#include "daemon/settle/settings.hpp"
#include "daemon/tell/settings.hpp"
#include "daemon/webhooks/settings.hpp"

namespace runledger {

// The file can't be read, is no TOML, or a key is unknown or has a value that can't be. what() is a sentence that
// names file, key and value: print it and exit with 1.
class ConfigError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Config {
    IntakeSettings intake;
    PostgresSettings postgres;
    SettleSettings settle;
    RetentionSettings retention;
    ApplicationSettings application;
    TelegramSettings telegram;
    ReconcileSettings comfydeploy;
    WebhookSettings webhooks;

    struct Metrics {
        std::string listen{"127.0.0.1:9464"};  // Empty: none.

        bool operator==(const Metrics&) const = default;
    } metrics;

    PageSettings page;

    LogSettings log;
};

// Where the packages put it; both programs read it unless --config names another.
inline constexpr const char* default_config_file = "/etc/runledger/runledgerd.toml";

// Whether the files are read that hold the tokens of bot and page, ComfyDeploy's key, the webhooks' secrets and the
// CURVE keys. A program that has no use for them leaves them alone: whoever runs it may have no right to read them. The
// database's password is always read.
enum class Secrets : std::uint8_t { read, leave };

// Throws ConfigError.
[[nodiscard]] Config load_config(const std::filesystem::path& path, Secrets secrets = Secrets::read);

// All keys that load_config() knows, as "[section] key"; "[telegram] text" is a table of its own.
[[nodiscard]] std::vector<std::string> known_keys();

}  // namespace runledger
