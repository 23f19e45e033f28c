#include "daemon/overview/words.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstdlib>

namespace runledger {

std::string in_groups(std::int64_t number) {
    const std::string digits = fmt::format("{}", number);
    const std::size_t sign = number < 0 ? 1 : 0;
    std::string text = digits.substr(0, sign);
    for (std::size_t i = sign; i < digits.size(); ++i) {
        if (i > sign && (digits.size() - i) % 3 == 0) {
            text += "\xE2\x80\xAF";  // U+202F
        }
        text.push_back(digits[i]);
    }
    return text;
}

std::string counted(std::int64_t number, std::string_view noun) {
    return fmt::format("{} {}{}", in_groups(number), noun, number == 1 ? "" : "s");
}

std::string in_seconds(double seconds) {
    if (seconds < 0.001) {
        return fmt::format("{:.1f} ms", seconds * 1000);
    }
    if (seconds < 1) {
        return fmt::format("{:.0f} ms", seconds * 1000);
    }
    if (seconds < 10) {
        return fmt::format("{:.2f} s", seconds);
    }
    if (seconds < 120) {
        return fmt::format("{:.0f} s", seconds);
    }
    if (seconds < 7200) {
        return fmt::format("{:.0f} min", seconds / 60);
    }
    return seconds < 172'800 ? fmt::format("{:.1f} h", seconds / 3600) : fmt::format("{:.1f} d", seconds / 86'400);
}

std::string in_bytes(std::int64_t bytes) {
    static constexpr std::array<std::string_view, 5> units{"B", "kB", "MB", "GB", "TB"};
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (value >= 1000 && unit + 1 < units.size()) {
        value /= 1000;
        ++unit;
    }
    return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.{}f} {}", value, value < 100 ? 1 : 0, units[unit]);
}

std::string as_rate(double per_second) {
    if (per_second <= 0) {
        return "0";
    }
    if (per_second < 1) {
        return fmt::format("{:.{}f} /min", per_second * 60, per_second * 60 < 10 ? 1 : 0);
    }
    return per_second < 100 ? fmt::format("{:.1f} /s", per_second) : in_groups(std::llround(per_second)) + " /s";
}

std::string short_dollars(const std::string& exact) {
    const double dollars = std::strtod(exact.c_str(), nullptr);  // For people; the exact text stands beside it.
    if (dollars >= 1000) {
        const std::int64_t cents = std::llround(dollars * 100);
        return fmt::format("{}.{:02}", in_groups(cents / 100), cents % 100);
    }
    if (dollars >= 0.1 || dollars == 0) {
        return fmt::format("{:.2f}", dollars);
    }
    return fmt::format("{:.{}f}", dollars, static_cast<int>(std::ceil(-std::log10(dollars))) + 1);
}

}  // namespace runledger
