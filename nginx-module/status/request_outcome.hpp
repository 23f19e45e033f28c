// What became of a request to a webhook location: $runledger_outcome, and the label of runledger_edge_requests_total;
// and why nginx itself refused one, as far as can be told afterwards: runledger_edge_refused_total beside the outcomes.
//
// The words are part of what operators alarm on: add, never rename. Plain C++, no nginx.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace runledger::edge {

enum class RequestOutcome : std::uint8_t {
    none,              // Not decided yet.
    accepted,          // 200: on stable storage.
    redelivered,       // 200 as well, and the event came as GET: the sender's second or third try.
    refused_json,      // 400: no event can be read from the body.
    refused_token,     // 401
    refused_method,    // 405
    refused_size,      // 413
    refused_type,      // 415
    over_bound,        // 503: too many events or bytes are held already.
    timeout,           // 503: not on stable storage before runledger_timeout.
    body_unreadable,   // 503: nginx's temporary file could not be read back.
    failed,            // 500 or 503 for a fault of our own or of nginx; the error log says which.
    client_gone,       // The sender left before the answer. The event may still have been stored.
    refused_by_nginx,  // Refused before our handler (limit_req, allow and deny, auth_request) or for broken chunks.
    spool_full,        // 503: as timeout, and because neither the spool's bound nor its disk had room.
    incompatible,      // 503: nginx's structures are not those that the module was built with.
};

inline constexpr std::array<std::string_view, 16> outcome_words{
    "none",         "accepted",         "redelivered", "refused_json", "refused_token",   "refused_method",
    "refused_size", "refused_type",     "over_bound",  "timeout",      "body_unreadable", "failed",
    "client_gone",  "refused_by_nginx", "spool_full",  "incompatible"};

[[nodiscard]] constexpr std::string_view to_word(RequestOutcome outcome) noexcept {
    return outcome_words[static_cast<std::size_t>(outcome)];
}

static_assert(to_word(RequestOutcome::incompatible) == "incompatible");

struct NginxCause {
    std::string_view word;
    unsigned status;  // 0: not told by the status.
};

// docs/metrics.md says who refuses with which.
inline constexpr std::array nginx_causes{
    NginxCause{"limit_req", 0},   NginxCause{"limit_conn", 0},  NginxCause{"nginx_400", 400},
    NginxCause{"nginx_401", 401}, NginxCause{"nginx_403", 403}, NginxCause{"nginx_404", 404},
    NginxCause{"nginx_429", 429}, NginxCause{"nginx_499", 499}, NginxCause{"nginx_500", 500},
    NginxCause{"nginx_503", 503}, NginxCause{"nginx_other", 0},
};

// An index of nginx_causes.
inline constexpr std::size_t cause_limit_req = 0;
inline constexpr std::size_t cause_limit_conn = 1;

[[nodiscard]] constexpr std::size_t cause_of_status(unsigned status) noexcept {
    const auto* found = std::ranges::find(nginx_causes, status, &NginxCause::status);
    const bool is_told = status != 0 && found != nginx_causes.end();
    return is_told ? static_cast<std::size_t>(found - nginx_causes.begin()) : nginx_causes.size() - 1;
}

static_assert(nginx_causes[cause_limit_req].word == "limit_req" && nginx_causes[cause_limit_conn].word == "limit_conn");
static_assert(nginx_causes[cause_of_status(302)].word == "nginx_other");

}  // namespace runledger::edge
