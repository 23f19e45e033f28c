#include "daemon/tool/time_option.hpp"

#include <fmt/format.h>

#include <chrono>

#include "daemon/base/iso_time.hpp"
#include "daemon/ingest/write_turn.hpp"
#include "daemon/tool/output/exit_code.hpp"

namespace runledger::tool {
namespace {

// Where the clocks are most ahead, a day begins 14 hours before it does by UTC.
constexpr std::chrono::hours zone_ahead_max{14};

constexpr std::size_t day_end = std::string_view("2026-01-31").size();
constexpr std::size_t minutes_end = std::string_view("2026-01-31T12:00").size();

// A day or a minute that somebody types is its beginning.
std::string with_seconds(std::string text) {
    if (text.size() == day_end) {
        return text + "T00:00:00";
    }
    if (text.size() == minutes_end || (text.size() > minutes_end && text[minutes_end] != ':')) {
        text.insert(minutes_end, ":00");
    }
    return text;
}

}  // namespace

WallTime parse_time_option(std::string_view option, const std::string& text) {
    const auto time = parse_iso_time(with_seconds(text));
    if (!time) {
        throw Misused(fmt::format(
            "{} \"{}\" is not a time: write 2026-01-31, 2026-01-31T12:00Z or 2026-01-31T12:00:00+02:00", option, text));
    }
    return *time;
}

std::string read_time_option(std::string_view option, const std::string& text) {
    return timestamp_text(parse_time_option(option, text));
}

void require_has_come(const TimeOption& from) {
    // In microseconds: the year 2999 doesn't fit into the clock's nanoseconds.
    const auto now = std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
    if (!from.text.empty() && parse_time_option(from.name, from.text) > now + zone_ahead_max) {
        throw Misused(fmt::format("{} {} has not come yet: nothing is there since then", from.name, from.text));
    }
}

void require_some_time(const TimeOption& from, const TimeOption& to) {
    if (!from.text.empty() && !to.text.empty() &&
        parse_time_option(from.name, from.text) >= parse_time_option(to.name, to.text)) {
        throw Misused(fmt::format("{} {} is not before {} {}", from.name, from.text, to.name, to.text));
    }
    require_has_come(from);
}

bool is_day(const std::string& text) {
    return text.size() == day_end && parse_iso_time(with_seconds(text)).has_value();
}

bool is_month(const std::string& text) { return !text.starts_with('0') && is_day(text + "-01"); }

}  // namespace runledger::tool
