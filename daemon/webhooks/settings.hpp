// [webhooks] of the configuration: what an operator may set of the webhooks out. docs/settings.md says what each key
// does.
#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "daemon/base/secret.hpp"

namespace runledger {

struct WebhookSettings {
    std::string url{};                         // Gets every event. May hold a secret: it is never printed. Empty: none.
    bool url_is_inner{false};                  // `url` may lead to an inner address, and then may be http.
    std::string secrets_file{};                //
    std::vector<Secret> secrets{};             // What the file holds, decoded: each signs every webhook.
    std::vector<std::string> host_suffixes{};  // Of the hosts that metadata.webhookUrl may name. None: it gets nothing.
    std::vector<std::string> metadata_keys{};  // Of the payload; "*": all.
    std::vector<std::string> events{"settled"};                            // "settled", "progress", "group"
    std::chrono::milliseconds progress_interval{std::chrono::seconds{3}};  // Between two of a run.
    std::chrono::milliseconds timeout{std::chrono::seconds{15}};           // Of one attempt.
    std::chrono::milliseconds retry_delay_min{std::chrono::seconds{1}};
    std::chrono::milliseconds retry_delay_max{std::chrono::hours{1}};
    std::chrono::days give_up{3};                                 // What has waited longer is dead.
    std::chrono::seconds retry_after_max{std::chrono::hours{1}};  // A receiver that asks for more is asked again then.
    unsigned concurrency{8};                                      // Attempts at a time to one host.
    unsigned breaker_failures{5};
    std::chrono::milliseconds breaker_delay_max{std::chrono::minutes{1}};

    [[nodiscard]] bool tells_progress() const {
        return std::find(events.begin(), events.end(), "progress") != events.end();
    }
    [[nodiscard]] bool is_on() const noexcept { return !url.empty() || !host_suffixes.empty(); }

    bool operator==(const WebhookSettings&) const = default;
};

}  // namespace runledger
