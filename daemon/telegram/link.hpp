// What is known of a link without following it: whether it has expired, and whether another server may get it.
//
// Anybody who can post an event chooses the URLs in it, so no text here can be trusted (docs/bot-api.md, "Links from
// strangers"). Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace runledger::telegram {

using LinkTime = std::chrono::system_clock::time_point;

// When a presigned URL expires: X-Amz-Date and X-Amz-Expires, X-Goog-Date and X-Goog-Expires, or Expires, in
// its query. Nothing if the query does not say.
[[nodiscard]] std::optional<LinkTime> find_link_expiry(std::string_view url);

// Whether a Bot API server that fetches links by itself may be given this one: an https URL whose host is a name
// (find_https_host), and not one that only a private network knows: one label, or a suffix such as .internal or .local.
// Such a server resolves the name itself and follows redirects, so this is less than what the daemon checks when it
// fetches.
[[nodiscard]] bool is_link_to_a_public_name(std::string_view url);

// Whether it is Telegram's own server, whose machines fetch links from outside the operator's network.
[[nodiscard]] bool is_telegrams_own(std::string_view api_url);

}  // namespace runledger::telegram
