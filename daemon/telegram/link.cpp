#include "daemon/telegram/link.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <vector>

#include "daemon/net/public_host.hpp"

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

bool is_link_to_a_public_name(std::string_view url) {
    const auto host = find_https_host(url);
    // RFC 6761 and 6762, RFC 8375, ICANN's .internal, and what routers and companies use without asking.
    static const std::vector<std::string> private_suffixes{"localhost",   "local", "internal", "home.arpa", "intranet",
                                                           "localdomain", "lan",   "home",     "corp",      "private"};
    return host && host->find('.') != std::string::npos && !is_configured_host(*host, private_suffixes);
}

bool is_telegrams_own(std::string_view api_url) { return find_https_host(api_url) == "api.telegram.org"; }

}  // namespace runledger::telegram
