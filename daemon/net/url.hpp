// The parts of a URL, by libcurl's own parser. Pure functions; no text of an error holds the URL, which may have a
// secret in it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace runledger {

struct UrlParts {
    std::string scheme;  // In lower case.
    std::string host;    // An IPv6 address in its brackets.
    std::uint16_t port{};
    std::string query;  // Without "?", as written.
    [[nodiscard]] bool operator==(const UrlParts&) const = default;
};

// Nothing if the text is no URL with a scheme and a host.
[[nodiscard]] std::optional<UrlParts> parse_url(const std::string& url);

// The value of the query's first argument of this name, as written.
[[nodiscard]] std::optional<std::string> find_argument(std::string_view query, std::string_view name);

// The URL with another query and no fragment; nothing if it is none.
[[nodiscard]] std::optional<std::string> with_query(const std::string& url, const std::string& query);

// Everything but letters, digits, "-", "_", "." and "~" escaped.
[[nodiscard]] std::string escaped(std::string_view text);
[[nodiscard]] std::string unescaped(const std::string& text);

}  // namespace runledger
