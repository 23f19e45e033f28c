// Times and days on the command line: ISO 8601, or refused with the form. PostgreSQL's own reading would take
// "01.11.2026" for 11 January and "tomorrow" for a time.
#pragma once

#include <string>
#include <string_view>

#include "common/clock.hpp"

namespace runledger::tool {

// "2026-01-31", "2026-01-31T12:00Z" or "2026-01-31T12:00:00.5+02:00" (a blank may stand for the T; UTC without a zone),
// as a text that PostgreSQL reads in one way only. Throws Misused, with a sentence that names the option and the
// form.
[[nodiscard]] std::string read_time_option(std::string_view option, const std::string& text);

// The same as a moment.
[[nodiscard]] WallTime parse_time_option(std::string_view option, const std::string& text);

struct TimeOption {
    std::string_view name;
    const std::string& text;  // Empty: not given.
};

// Throws Misused if it is given and comes more than 14 hours later than now, by this host's clock, so that it has not
// come in any time zone: for the time from which on a command looks. A mistyped year would find nothing, and that would
// look like an answer.
void require_has_come(const TimeOption& from);

// Throws Misused if both are given and no moment is between them, or if `from` has not come: that nothing is found
// then, or that nothing differs, would look like an answer.
void require_some_time(const TimeOption& from, const TimeOption& to);

// Whether it is a day that exists, as "2026-01-31".
[[nodiscard]] bool is_day(const std::string& text);
// Whether it is a month, as "2026-01".
[[nodiscard]] bool is_month(const std::string& text);

}  // namespace runledger::tool
