// [telegram] of the configuration: what an operator may set of the notify stage. docs/settings.md says what each key
// does.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "daemon/base/secret.hpp"
#include "daemon/telegram/options.hpp"
#include "daemon/telegram/template.hpp"

namespace runledger {

enum class TelegramMode : std::uint8_t {
    send,
    log,  // Writes to the log what it would send; the message's state is `logged`.
};

enum class LinkUse : std::uint8_t {
    hand_over,  // The Bot API server gets links; another server than Telegram's own, only those to public names.
    upload,     // It gets none: what the daemon can't fetch and upload is a text with links.
};

struct TelegramSettings {
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
    telegram::Wordings text{};           // [telegram.text], and [telegram.text.fr]
    telegram::OptionDefaults options{};  // What a record does not ask for otherwise.
    bool progress{false};                // A message that tells how a run is getting on.
    std::chrono::milliseconds progress_interval{std::chrono::seconds{3}};
    LinkUse links{LinkUse::hand_over};
    std::vector<std::string> fetch_hosts{};  // Suffixes of the hosts that the daemon may fetch media from.
    std::chrono::milliseconds fetch_timeout{std::chrono::seconds{8}};
    unsigned fetch_bytes_max{20U * 1024 * 1024};
    unsigned daemons{1};  // That send with this bot: each takes its share of the limits.

    bool operator==(const TelegramSettings&) const = default;
};

}  // namespace runledger
