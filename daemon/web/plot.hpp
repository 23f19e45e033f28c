// Plots as SVG in the page: the month's cost by day, and events by minute. Pure.
//
// No style attribute, which the page's Content-Security-Policy refuses: colours come from page.css by class.
#pragma once

#include <cstdint>
#include <vector>

#include "daemon/overview/numbers.hpp"
#include "daemon/web/html.hpp"

namespace runledger::web {

// A bar for each day of the month; the days to come are faint marks. Each bar says its day, cost and counts.
[[nodiscard]] Markup plot_of_days(const MonthNumbers& month);

// A bar for each minute of the last hour, the newest at the right.
[[nodiscard]] Markup plot_of_minutes(const std::vector<std::uint64_t>& events_by_minute);

// A number no less than `highest` whose half is round, too: 1, 1.5, 2, … 8 times a power of ten. 1 for nothing.
[[nodiscard]] double round_top(double highest);

// "0.42", "12.50", "1 234": for people; NULL or unknown money is a dash elsewhere.
[[nodiscard]] std::string short_money(double dollars);

}  // namespace runledger::web
