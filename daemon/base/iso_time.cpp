#include "daemon/base/iso_time.hpp"

#include <date/date.h>

#include <algorithm>
#include <sstream>
#include <string>

namespace runledger {
namespace {

using std::chrono::microseconds;

// "+0200" of "+02", "+0200" and "+02:00"; empty for anything else.
std::string plain_zone(std::string_view zone) {
    std::string plain(zone);
    if (plain.size() == std::string_view("+02:00").size() && plain[3] == ':') {
        plain.erase(3, 1);
    } else if (plain.size() == std::string_view("+02").size()) {
        plain += "00";
    }
    const bool is_zone = plain.size() == std::string_view("+0200").size() && (plain[0] == '+' || plain[0] == '-') &&
                         std::all_of(plain.begin() + 1, plain.end(), [](char c) { return c >= '0' && c <= '9'; }) &&
                         plain.compare(1, 2, "23") <= 0 && plain.compare(3, 2, "59") <= 0;
    return is_zone ? plain : std::string{};
}

// Digits where "0000-00-00T00:00:00" has them, and its punctuation. Where a field can't be read, the library converts
// seconds that it has not set, which is undefined behaviour; so it sees only what it can read.
bool is_plain_shape(std::string_view text) {
    constexpr std::string_view shape = "0000-00-00T00:00:00";
    return std::equal(text.begin(), text.end(), shape.begin(), shape.end(),
                      [](char c, char wanted) { return wanted == '0' ? c >= '0' && c <= '9' : c == wanted; });
}

}  // namespace

std::optional<std::chrono::sys_time<microseconds>> parse_iso_time(std::string_view text) {
    constexpr std::size_t seconds_end = std::string_view("2025-08-29T02:35:38").size();
    constexpr std::size_t fraction_digits = 6;
    if (text.size() < seconds_end || (text[10] != 'T' && text[10] != ' ')) {
        return std::nullopt;
    }
    std::string plain(text.substr(0, seconds_end));
    plain[10] = 'T';
    if (!is_plain_shape(plain)) {
        return std::nullopt;
    }
    std::string_view rest = text.substr(seconds_end);
    std::string fraction;
    if (rest.starts_with('.')) {
        rest.remove_prefix(1);
        const std::size_t count = std::min(rest.find_first_not_of("0123456789"), rest.size());
        if (count == 0) {
            return std::nullopt;
        }
        fraction = rest.substr(0, std::min(count, fraction_digits));
        rest.remove_prefix(count);
    }
    fraction.resize(fraction_digits, '0');
    plain += '.' + fraction;
    if (rest.ends_with('Z') || rest.ends_with('z')) {
        rest.remove_suffix(1);
    }
    const std::string zone = rest.empty() ? "+0000" : plain_zone(rest);
    if (zone.empty()) {
        return std::nullopt;
    }

    date::local_time<microseconds> local;
    std::chrono::minutes offset{0};
    std::istringstream in(plain + zone);
    in >> date::parse("%FT%T%z", local, offset);
    // The library reads fields of other widths, too; what it has read must be what is written.
    if (in.fail() || date::format("%FT%T", local) != plain) {
        return std::nullopt;
    }
    const std::chrono::sys_time<microseconds> time{local.time_since_epoch() - offset};
    // The zone may lead out of the years that were read.
    if (time < std::chrono::sys_days{std::chrono::year{1} / 1 / 1} ||
        time >= std::chrono::sys_days{std::chrono::year{10000} / 1 / 1}) {
        return std::nullopt;
    }
    return time;
}

}  // namespace runledger
