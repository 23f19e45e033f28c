#include "daemon/telegram/link.hpp"

#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>

namespace runledger::telegram {
namespace {

char lowered(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_same_word(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() &&
           std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lowered(x) == lowered(y); });
}

std::optional<std::int64_t> find_number(std::string_view text) noexcept {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && end == text.data() + text.size() && !text.empty() ? std::optional(number)
                                                                                     : std::nullopt;
}

// The value of a query's parameter; names are compared without regard to case.
std::optional<std::string_view> find_parameter(std::string_view url, std::string_view name) noexcept {
    url = url.substr(0, url.find('#'));
    const std::size_t question = url.find('?');
    std::string_view query = question == std::string_view::npos ? std::string_view{} : url.substr(question + 1);
    while (!query.empty()) {
        const std::string_view pair = query.substr(0, query.find('&'));
        const std::size_t equals = pair.find('=');
        if (equals != std::string_view::npos && is_same_word(pair.substr(0, equals), name)) {
            return pair.substr(equals + 1);
        }
        query.remove_prefix(std::min(pair.size() + 1, query.size()));
    }
    return std::nullopt;
}

// "20250829T023538Z", ISO 8601's basic form as both clouds write it.
std::optional<LinkTime> find_instant(std::string_view text) noexcept {
    if (text.size() != 16 || text[8] != 'T' || text[15] != 'Z') {
        return std::nullopt;
    }
    const auto year = find_number(text.substr(0, 4));
    const auto month = find_number(text.substr(4, 2));
    const auto day = find_number(text.substr(6, 2));
    const auto hour = find_number(text.substr(9, 2));
    const auto minute = find_number(text.substr(11, 2));
    const auto second = find_number(text.substr(13, 2));
    if (!year || !month || !day || !hour || !minute || !second) {
        return std::nullopt;
    }
    const std::chrono::year_month_day date{std::chrono::year{static_cast<int>(*year)},
                                           std::chrono::month{static_cast<unsigned>(*month)},
                                           std::chrono::day{static_cast<unsigned>(*day)}};
    if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) {
        return std::nullopt;
    }
    return std::chrono::sys_days{date} + std::chrono::hours{*hour} + std::chrono::minutes{*minute} +
           std::chrono::seconds{*second};
}

struct Range {
    std::uint32_t network;
    unsigned bits;
};

// Not globally reachable, by IANA's registry of special-purpose IPv4 addresses, and multicast.
constexpr std::array<Range, 16> special_v4{{
    {0x00000000, 8},   // 0.0.0.0/8, this network
    {0x0A000000, 8},   // 10.0.0.0/8, private
    {0x64400000, 10},  // 100.64.0.0/10, shared
    {0x7F000000, 8},   // 127.0.0.0/8, loopback
    {0xA9FE0000, 16},  // 169.254.0.0/16, link-local: clouds' metadata is at 169.254.169.254
    {0xAC100000, 12},  // 172.16.0.0/12, private
    {0xC0000000, 24},  // 192.0.0.0/24, protocol assignments
    {0xC0000200, 24},  // 192.0.2.0/24, documentation
    {0xC0586300, 24},  // 192.88.99.0/24, 6to4 relays, withdrawn
    {0xC0A80000, 16},  // 192.168.0.0/16, private
    {0xC6120000, 15},  // 198.18.0.0/15, benchmarks
    {0xC6336400, 24},  // 198.51.100.0/24, documentation
    {0xCB007100, 24},  // 203.0.113.0/24, documentation
    {0xE0000000, 4},   // 224.0.0.0/4, multicast
    {0xF0000000, 4},   // 240.0.0.0/4, reserved
    {0xFFFFFFFF, 32},  // broadcast
}};

bool is_public_v4(std::uint32_t address) noexcept {
    return std::none_of(special_v4.begin(), special_v4.end(),
                        [&](const Range& range) { return ((address ^ range.network) >> (32 - range.bits)) == 0; });
}

using Bytes = std::array<std::uint8_t, 16>;

std::uint32_t v4_at(const Bytes& bytes, std::size_t at) noexcept {
    return static_cast<std::uint32_t>(bytes[at]) << 24U | static_cast<std::uint32_t>(bytes[at + 1]) << 16U |
           static_cast<std::uint32_t>(bytes[at + 2]) << 8U | static_cast<std::uint32_t>(bytes[at + 3]);
}

bool begins_with(const Bytes& bytes, std::initializer_list<std::uint8_t> prefix) noexcept {
    return std::equal(prefix.begin(), prefix.end(), bytes.begin());
}

bool is_public_v6(const Bytes& bytes) noexcept {
    // Forms that carry an IPv4 address reach what that address reaches.
    const bool is_mapped = begins_with(bytes, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF});
    const bool is_nat64 = begins_with(bytes, {0x00, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0});
    if (is_mapped || is_nat64) {
        return is_public_v4(v4_at(bytes, 12));
    }
    if (begins_with(bytes, {0x20, 0x02})) {  // 6to4
        return is_public_v4(v4_at(bytes, 2));
    }
    // Only 2000::/3 is handed out as global unicast: that leaves out ::, ::1, compatible forms, fc00::/7, fe80::/10,
    // fec0::/10, ff00::/8, 64:ff9b:1::/48 and 100::/64.
    if ((bytes[0] & 0xE0U) != 0x20U) {
        return false;
    }
    // 2001::/23 is for protocols, Teredo and ORCHID among them; 2001:db8::/32 and 3fff::/20 are documentation.
    const bool is_protocols = bytes[0] == 0x20 && bytes[1] == 0x01 && bytes[2] < 0x02;
    const bool is_documentation =
        begins_with(bytes, {0x20, 0x01, 0x0D, 0xB8}) || (begins_with(bytes, {0x3F, 0xFF}) && bytes[2] < 0x10);
    return !is_protocols && !is_documentation;
}

}  // namespace

std::optional<LinkTime> find_link_expiry(std::string_view url) {
    for (const auto& [date, lifetime] :
         {std::pair<std::string_view, std::string_view>{"X-Amz-Date", "X-Amz-Expires"},
          std::pair<std::string_view, std::string_view>{"X-Goog-Date", "X-Goog-Expires"}}) {
        const auto date_text = find_parameter(url, date);
        const auto lifetime_text = find_parameter(url, lifetime);
        if (date_text && lifetime_text) {
            const auto begins = find_instant(*date_text);
            const auto seconds = find_number(*lifetime_text);
            if (begins && seconds && *seconds >= 0 && *seconds <= 366LL * 24 * 3600) {
                return *begins + std::chrono::seconds{*seconds};
            }
        }
    }
    if (const auto text = find_parameter(url, "Expires")) {
        // S3's older signature and CloudFront: seconds since 1970. Before 2001 it is something else.
        if (const auto seconds = find_number(*text);
            seconds && *seconds > 1'000'000'000 && *seconds < 100'000'000'000) {
            return LinkTime{std::chrono::seconds{*seconds}};
        }
    }
    return std::nullopt;
}

std::optional<std::string> find_fetch_host(std::string_view url) {
    constexpr std::string_view scheme = "https://";
    if (url.size() <= scheme.size() || !is_same_word(url.substr(0, scheme.size()), scheme)) {
        return std::nullopt;
    }
    const std::string_view rest = url.substr(scheme.size());
    const std::string_view authority = rest.substr(0, rest.find_first_of("/?#\\"));
    const std::size_t colon = authority.find(':');
    std::string host(authority.substr(0, colon));
    std::transform(host.begin(), host.end(), host.begin(), lowered);
    const bool is_name =
        !host.empty() && host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.") == std::string::npos;
    // A host whose last label begins with a digit is an address in one of its forms: 127.1, 0x7f000001, 2130706433.
    const std::size_t last_dot = host.find_last_of('.');
    const char last_label = !is_name                        ? '0'
                            : last_dot == std::string::npos ? host.front()
                            : last_dot + 1 == host.size()   ? '0'
                                                            : host[last_dot + 1];
    // Another port than https's own leads to another server than the one that the suffix names.
    const bool is_other_port = colon != std::string_view::npos && authority.substr(colon + 1) != "443";
    if (!is_name || (last_label >= '0' && last_label <= '9') || is_other_port) {
        return std::nullopt;
    }
    return host;
}

bool is_link_to_a_public_name(std::string_view url) {
    const auto host = find_fetch_host(url);
    // RFC 6761 and 6762, RFC 8375, ICANN's .internal, and what routers and companies use without asking.
    static const std::vector<std::string> private_suffixes{"localhost",   "local", "internal", "home.arpa", "intranet",
                                                           "localdomain", "lan",   "home",     "corp",      "private"};
    return host && host->find('.') != std::string::npos && !is_configured_host(*host, private_suffixes);
}

bool is_telegrams_own(std::string_view api_url) { return find_fetch_host(api_url) == "api.telegram.org"; }

bool is_configured_host(std::string_view host, std::span<const std::string> suffixes) {
    return std::any_of(suffixes.begin(), suffixes.end(), [&](const std::string& suffix) {
        return host == suffix || (host.size() > suffix.size() + 1 && host.ends_with(suffix) &&
                                  host[host.size() - suffix.size() - 1] == '.');
    });
}

bool is_public_address(const sockaddr& address, socklen_t length) noexcept {
    if (address.sa_family == AF_INET && length >= sizeof(sockaddr_in)) {
        sockaddr_in v4{};
        std::memcpy(&v4, &address, sizeof v4);
        return is_public_v4(ntohl(v4.sin_addr.s_addr));
    }
    if (address.sa_family == AF_INET6 && length >= sizeof(sockaddr_in6)) {
        sockaddr_in6 v6{};
        std::memcpy(&v6, &address, sizeof v6);
        Bytes bytes{};
        std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
        return is_public_v6(bytes);
    }
    return false;
}

}  // namespace runledger::telegram
