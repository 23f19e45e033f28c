// What is known of a link without following it: whether it has expired, whether the daemon may fetch from its host, and
// whether an address is on the open Internet.
//
// Anybody who can post an event chooses the URLs in it, so no text here can be trusted (docs/bot-api.md, "Links from
// strangers"). Pure.
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace runledger::telegram {

using LinkTime = std::chrono::system_clock::time_point;

// When a presigned URL expires: X-Amz-Date and X-Amz-Expires, X-Goog-Date and X-Goog-Expires, or Expires, in
// its query. Nothing if the query does not say.
[[nodiscard]] std::optional<LinkTime> find_link_expiry(std::string_view url);

// The host of an https URL, in lower case and without its port; nothing for any other URL, for one with a user in it,
// and where the host is a number in any of its forms: addresses have no suffix that could be configured.
[[nodiscard]] std::optional<std::string> find_fetch_host(std::string_view url);

// Whether a Bot API server that fetches links by itself may be given this one: an https URL with a host as above, whose
// name is not one that only a private network knows: one label, or a suffix such as .internal or .local. Such a server
// resolves the name itself and follows redirects, so this is less than what the daemon checks when it fetches.
[[nodiscard]] bool is_link_to_a_public_name(std::string_view url);

// Whether it is Telegram's own server, whose machines fetch links from outside the operator's network.
[[nodiscard]] bool is_telegrams_own(std::string_view api_url);

// True where the host is one of the suffixes or ends in a dot and one of them: "amazonaws.com" takes
// "bucket.s3.amazonaws.com" and not "notamazonaws.com".
[[nodiscard]] bool is_configured_host(std::string_view host, std::span<const std::string> suffixes);

// False for every address that is not plainly on the Internet: private, shared, link-local, loopback, multicast,
// reserved and documentation ranges, and IPv6 forms that carry such an IPv4 address (mapped, compatible, 6to4, NAT64,
// Teredo). The ranges are IANA's special-purpose registries (RFC 6890 and its updates).
[[nodiscard]] bool is_public_address(const sockaddr& address, socklen_t length) noexcept;

}  // namespace runledger::telegram
