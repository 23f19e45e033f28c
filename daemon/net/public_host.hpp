// Which hosts and addresses are on the open Internet: the guard of every call to a URL that a stranger may have chosen.
//
// A URL's host is judged by its text, before the call; the address that is connected to is judged by itself
// (HttpClient::Options::is_allowed_address), so a name server that changes its mind changes nothing. Pure.
#pragma once

#include <sys/socket.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace runledger {

// The host of an https URL, in lower case and without its port; nothing for any other URL, for one with a user in it,
// and where the host is a number in any of its forms: addresses have no suffix that could be configured.
[[nodiscard]] std::optional<std::string> find_https_host(std::string_view url);

// True where the host is one of the suffixes or ends in a dot and one of them: "amazonaws.com" takes
// "bucket.s3.amazonaws.com" and not "notamazonaws.com".
[[nodiscard]] bool is_configured_host(std::string_view host, std::span<const std::string> suffixes);

// False for every address that is not plainly on the Internet: private, shared, link-local, loopback, multicast,
// reserved and documentation ranges, and IPv6 forms that carry such an IPv4 address (mapped, compatible, 6to4, NAT64,
// Teredo). The ranges are IANA's special-purpose registries (RFC 6890 and its updates).
[[nodiscard]] bool is_public_address(const sockaddr& address, socklen_t length) noexcept;

}  // namespace runledger
