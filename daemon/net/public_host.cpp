#include "daemon/net/public_host.hpp"

#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <initializer_list>

namespace runledger {
namespace {

char lowered(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_same_word(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() &&
           std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lowered(x) == lowered(y); });
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

std::optional<std::string> find_https_host(std::string_view url) {
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

}  // namespace runledger
