// The daemon's configuration, from one TOML file (toml++). docs/settings.md says what each key does.
//
// Read once, at start, by main. Each stage defines its own settings, in settings.hpp of its folder, and gets them by
// value; no stage knows this file. Every key but [postgres] uri has a default.
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
#include "daemon/base/secret.hpp"
#include "daemon/database/settings.hpp"
#include "daemon/ingest/settings.hpp"
#include "daemon/settle/settings.hpp"
#include "daemon/telegram/template.hpp"

namespace runledger {

// The file can't be read, is no TOML, or a key is unknown or has a value that can't be. what() is a sentence that
// names file, key and value: print it and exit with 1.
class ConfigError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

enum class TelegramMode : std::uint8_t {
    send,
    log,  // Writes to the log what it would send, and counts it as sent.
};

struct Config {
    IntakeSettings intake;
    PostgresSettings postgres;
    SettleSettings settle;
    RetentionSettings retention;

    struct Telegram {
        std::string token_file;  // Empty: none, and the mode is log.
        Secret token;            // What the file holds, without white space around it.
        std::string api_url{"https://api.telegram.org"};
        TelegramMode mode{TelegramMode::log};  // Default: send if there is a token_file, else log.
        unsigned attempts_max{12};
        std::chrono::milliseconds retry_delay_min{500};
        std::chrono::milliseconds retry_delay_max{std::chrono::minutes{5}};
        std::chrono::milliseconds timeout{std::chrono::seconds{30}};       // Of one call.
        std::chrono::milliseconds lease_margin{std::chrono::seconds{15}};  // A lease is a call's time-out and this.
        std::chrono::seconds not_after{std::chrono::hours{6}};             // What has waited longer is skipped.
        unsigned messages_per_second{30};                                  // Of the bot.
        unsigned chat_messages_per_second{1};
        unsigned group_messages_per_minute{20};
        telegram::Wording text{};  // [telegram.text]
        bool progress{false};      // A message that tells how a run is getting on.
        std::chrono::milliseconds progress_interval{std::chrono::seconds{3}};
        std::vector<std::string> fetch_hosts{};  // Suffixes of the hosts that the daemon may fetch media from.
        std::chrono::milliseconds fetch_timeout{std::chrono::seconds{8}};
        unsigned fetch_bytes_max{20U * 1024 * 1024};
        unsigned daemons{1};  // That send with this bot: each takes its share of the limits.
    } telegram;

    struct Comfydeploy {
        // How long nothing may be heard of a run before it is looked up, by how far it had come.
        struct Silence {
            std::chrono::seconds queued{std::chrono::minutes{15}};
            std::chrono::seconds started{std::chrono::minutes{15}};
            std::chrono::seconds running{std::chrono::minutes{10}};
            std::chrono::seconds uploading{std::chrono::minutes{5}};
            std::chrono::seconds other{std::chrono::minutes{15}};    // not-started, and words that are not known.
            std::chrono::seconds unheard{std::chrono::minutes{15}};  // A generation of which no event ever came.
        };

        std::string api_url{"https://api.comfydeploy.com/api"};
        std::string api_key_file;  // Empty: none, and nothing is looked up.
        Secret api_key;            // What the file holds, without white space around it.
        Silence silence;
        std::chrono::seconds give_up{std::chrono::hours{24 * 7}};     // Silent for longer: not looked up any more.
        unsigned concurrency{4};                                      // Look-ups at a time, 1 to 32.
        std::chrono::milliseconds timeout{std::chrono::seconds{20}};  // Of one look-up.
        std::chrono::milliseconds retry_delay_min{std::chrono::minutes{1}};
        std::chrono::milliseconds retry_delay_max{std::chrono::hours{1}};
    } comfydeploy;

    struct Metrics {
        std::string listen{"127.0.0.1:9464"};  // Empty: none.
    } metrics;

    LogSettings log;
};

// What the file holds, without white space around it; nothing where it can't be read or holds nothing.
[[nodiscard]] std::optional<Secret> read_secret_file(const std::string& path);

// Throws ConfigError.
[[nodiscard]] Config load_config(const std::filesystem::path& path);

}  // namespace runledger
