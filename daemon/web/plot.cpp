#include "daemon/web/plot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "daemon/overview/words.hpp"

namespace runledger::web {

double round_top(double highest) {
    if (!(highest > 0) || !std::isfinite(highest)) {
        return 1;
    }
    const double power = std::pow(10.0, std::floor(std::log10(highest)));
    for (const double step : {1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0}) {
        if (step * power >= highest * (1 - 1e-9)) {
            return step * power;
        }
    }
    return 10 * power;
}

std::string short_money(double dollars) {
    if (dollars >= 1000) {
        return in_groups(static_cast<std::int64_t>(std::llround(dollars)));
    }
    if (dollars >= 0.1 || dollars == 0) {
        return fmt::format("{:.2f}", dollars);
    }
    return fmt::format("{:.2g}", dollars);
}

Markup plot_of_days(const MonthNumbers& month) {
    constexpr double width = 760;
    constexpr double height = 270;
    constexpr double left = 52;
    constexpr double right = 8;
    constexpr double top = 14;
    constexpr double bottom = 26;
    constexpr double plot_height = height - top - bottom;
    constexpr double gap = 0.26;  // Of a day's room.

    double highest = 0;
    for (const auto& day : month.days) {
        highest = std::max(highest, day.height);
    }
    const double scale = round_top(highest);
    const double room = (width - left - right) / static_cast<double>(std::max<std::size_t>(month.days.size(), 1));

    Html svg;
    svg.put("<svg class=\"plot\" viewBox=\"0 0 {:g} {:g}\" role=\"img\" aria-label=\"Cost of each day of this month\">",
            width, height);
    for (const double part : {0.0, 0.5, 1.0}) {
        const double y = top + plot_height * (1 - part);
        svg.put("<line class=\"{}\" x1=\"{:g}\" x2=\"{:g}\" y1=\"{:.1f}\" y2=\"{:.1f}\"></line>",
                part == 0 ? "axis" : "grid", left, width - right, y, y);
        svg.put("<text class=\"tick\" x=\"{:g}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>", left - 8, y + 4,
                highest > 0 ? "$" + short_money(scale * part)
                : part == 0 ? "$0"
                            : "");
    }
    double x = left;
    bool is_to_come = false;
    for (const auto& day : month.days) {
        const double bar_width = room * (1 - gap);
        const double bar_x = x + room * gap / 2;
        const double bar = day.height / scale * plot_height;
        const std::string_view kind = is_to_come ? "to-come" : day.is_today ? "bar today" : "bar";
        const double shown = is_to_come ? 2 : day.generations > 0 ? std::max(bar, 2.0) : 0;
        if (shown > 0) {
            svg.put("<rect class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" rx=\"2\">", kind,
                    bar_x, top + plot_height - shown, bar_width, shown);
            if (!is_to_come) {
                svg.put("<title>{}: {}, {}</title>", day.date,
                        day.cost_usd ? "$" + *day.cost_usd : std::string("no known cost"),
                        counted(day.generations, "generation"));
            }
            svg.put("</rect>");
        }
        if (day.unpriced > 0) {
            svg.put("<circle class=\"mark\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.4\"><title>{}</title></circle>",
                    bar_x + bar_width / 2, top + plot_height - shown - 7,
                    counted(day.unpriced, "completed generation") + " without a known cost");
        }
        if (day.day == 1 || day.day % 5 == 0) {
            svg.put("<text class=\"tick\" x=\"{:.1f}\" y=\"{:g}\" text-anchor=\"middle\">{}</text>",
                    bar_x + bar_width / 2, height - 8, day.day);
        }
        is_to_come = is_to_come || day.is_today;
        x += room;
    }
    svg.put("</svg>");
    return std::move(svg).take();
}

Markup plot_of_minutes(const std::vector<std::uint64_t>& events_by_minute) {
    constexpr std::size_t minutes = 60;
    constexpr double width = 300;
    constexpr double height = 44;
    constexpr double room = width / minutes;
    std::uint64_t highest = 0;
    for (const std::uint64_t events : events_by_minute) {
        highest = std::max(highest, events);
    }
    Html svg;
    svg.put(
        "<svg class=\"spark\" viewBox=\"0 0 {:g} {:g}\" preserveAspectRatio=\"none\" role=\"img\" "
        "aria-label=\"Events of each minute of the last hour\">",
        width, height);
    svg.put("<line class=\"axis\" x1=\"0\" x2=\"{:g}\" y1=\"{:g}\" y2=\"{:g}\"></line>", width, height - 0.5,
            height - 0.5);
    const std::size_t shown = std::min(events_by_minute.size(), minutes);
    for (std::size_t i = 0; i < shown; ++i) {
        const std::uint64_t events = events_by_minute[events_by_minute.size() - shown + i];
        if (events == 0) {
            continue;
        }
        const double bar = std::max(static_cast<double>(events) / static_cast<double>(highest) * (height - 2), 1.5);
        svg.put("<rect class=\"bar\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"></rect>",
                (static_cast<double>(minutes - shown + i)) * room + 0.6, height - 1 - bar, room - 1.2, bar);
    }
    svg.put("</svg>");
    return std::move(svg).take();
}

}  // namespace runledger::web
