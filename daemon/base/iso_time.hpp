// Times as ISO 8601 and RFC 3339 write them, through Howard Hinnant's date. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace runledger {

// "2025-08-29T02:35:38.214Z". A blank may stand for the T; the fraction may have any number of digits, of which six are
// kept, not rounded, or be absent. The zone is Z, +hh, +hhmm, +hh:mm, one of these with a Z behind it (the sender
// writes "+00Z" of a time with a zone), or absent: then UTC.
// Nothing for anything else: a time without its seconds is not known, and is no time on the full minute. Nothing beyond
// the years 1 to 9999 of UTC, which PostgreSQL can read.
[[nodiscard]] std::optional<std::chrono::sys_time<std::chrono::microseconds>> parse_iso_time(std::string_view text);

}  // namespace runledger
