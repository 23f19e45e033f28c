// What an attempt to deliver a webhook means: for the webhook, and for its host. Pure; chance comes as a value.
//
// An answer counts by its status, as soon as that is there, whatever becomes of its body. Nothing here ends a webhook
// but 2xx, 410, and a URL that is none: everything else may pass, a name server's answer and the configuration, too,
// and is tried again until give_up_days have passed. Only what a call came to counts for the host.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "daemon/net/http_client.hpp"

namespace runledger::webhooks {

inline constexpr std::size_t answer_bytes_max = 1024;  // Of an answer's body that are read; the rest is left unread.

struct Policy {
    std::chrono::milliseconds retry_delay_min{};
    std::chrono::milliseconds retry_delay_max{};
    std::chrono::milliseconds retry_after_max{};
};

struct Attempt {
    unsigned attempts{1};  // With this one.
    bool is_progress{false};
    bool url_is_ours{true};  // [webhooks] url, not metadata.webhookUrl.
};

enum class Verdict : std::uint8_t {
    delivered,
    later,
    held,       // Likewise; the receiver has said when.
    gone,       // 410.
    forbidden,  // metadata.webhookUrl is no URL that can ever be called.
    dropped,    // Progress is not tried again.
    aborted,    // The daemon stops: the attempt does not count.
};

struct Decision {
    Verdict verdict{};
    std::chrono::milliseconds delay{};  // With later and held.
    std::string error{};                // Unless delivered or aborted; one line, of ASCII alone.
    long status{0};                     // Of the answer; 0: none.
    bool host_fails{false};             // It counts for the host's breaker.
};

[[nodiscard]] Decision decide(const HttpResponse& response, const Attempt& attempt, const Policy& policy,
                              double chance);

}  // namespace runledger::webhooks
