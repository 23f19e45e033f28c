// What became of a request to a webhook location: $runledger_outcome, and the label of runledger_edge_requests_total.
//
// The words are part of what operators alarm on: add, never rename.
#pragma once

#include <array>
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
};

inline constexpr std::array<std::string_view, 15> outcome_words{
    "none",         "accepted",         "redelivered", "refused_json", "refused_token",   "refused_method",
    "refused_size", "refused_type",     "over_bound",  "timeout",      "body_unreadable", "failed",
    "client_gone",  "refused_by_nginx", "spool_full"};

[[nodiscard]] constexpr std::string_view to_word(RequestOutcome outcome) noexcept {
    return outcome_words[static_cast<std::size_t>(outcome)];
}

static_assert(to_word(RequestOutcome::spool_full) == "spool_full");

}  // namespace runledger::edge
