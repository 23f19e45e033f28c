#include "daemon/tool/status/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "daemon/base/obeyed_characters.hpp"
#include "daemon/overview/words.hpp"
#include "daemon/tool/output/output.hpp"

namespace runledger::tool {
namespace {

// Eighths of a cell; one cell for two minutes.
std::string bars(const std::vector<std::uint64_t>& events_by_minute) {
    static constexpr std::array<std::string_view, 9> eighths{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    std::vector<std::uint64_t> cells;
    const std::size_t first = events_by_minute.size() % 2;
    if (first == 1) {
        cells.push_back(events_by_minute[0]);
    }
    for (std::size_t i = first; i + 1 < events_by_minute.size(); i += 2) {
        cells.push_back(events_by_minute[i] + events_by_minute[i + 1]);
    }
    const std::uint64_t highest = cells.empty() ? 0 : std::ranges::max(cells);
    std::string text;
    for (const std::uint64_t cell : cells) {
        text += highest == 0 ? eighths[0] : eighths[(cell * 8 + highest - 1) / highest];
    }
    return text;
}

std::string line(std::string_view name, std::string_view figure, std::string_view rest) {
    std::string text = fmt::format("{:<11}{:<13}{}", name, figure, rest);
    while (text.ends_with(' ')) {
        text.pop_back();
    }
    return text + "\n";
}

std::string verdict_lines(const StatusFacts& facts) {
    std::string text = facts.health.sentence + "\n ";
    for (const Component& component : facts.health.components) {
        text += fmt::format(" {} {}{}", component.name, word_of(component.condition),
                            &component == &facts.health.components.back() ? "" : ",");
    }
    text += "\n";
    for (const Component& component : facts.health.components) {
        if (component.condition == Condition::degraded || component.condition == Condition::failed) {
            text += fmt::format("  {}: {}\n", component.name, printable(component.says));
            if (!component.cure.empty()) {
                text += fmt::format("      {}\n", printable(component.cure));
            }
        }
    }
    return text + "\n";
}

std::string live_lines(const LiveNumbers& live) {
    std::int64_t all = 0;
    std::string states;
    for (const RunsInFlight& runs : live.in_flight) {
        all += runs.runs;
        states += fmt::format("{}{} {}", states.empty() ? "" : ", ", printable(runs.status), in_groups(runs.runs));
    }
    std::string text =
        line("In flight", in_groups(all) + (live.in_flight_is_cut ? " or more" : ""),
             !states.empty()       ? states
             : live.latest_seconds ? "last event " + in_words(std::chrono::seconds{*live.latest_seconds}) + " ago"
                                   : "");
    text += live.settle_lag.runs == 0
                ? line("Lag", "-", "nothing was settled within an hour")
                : line("Lag", in_seconds(live.settle_lag.median),
                       fmt::format("receipt to settled, median; 95 of 100 within {}; slowest {}; to commit {}",
                                   in_seconds(live.settle_lag.high), in_seconds(live.settle_lag.highest),
                                   live.commit_lag.runs > 0 ? in_seconds(live.commit_lag.median) : "-"));
    const auto since = [](std::int64_t count, std::int64_t oldest) {
        return count == 0 ? std::string("0")
                          : fmt::format("{} (oldest {})", in_groups(count), in_words(std::chrono::seconds{oldest}));
    };
    text += line("Waiting", in_groups(live.unsettled + live.messages_pending + live.webhooks_pending),
                 fmt::format("to settle {}; messages {}, webhooks {}, being sent {}",
                             since(live.unsettled, live.unsettled_oldest_seconds),
                             since(live.messages_pending, live.messages_oldest_seconds),
                             since(live.webhooks_pending, live.webhooks_oldest_seconds),
                             live.messages_leased + live.webhooks_leased));
    return text + line("Given up", in_groups(live.messages_dead + live.messages_uncertain + live.webhooks_dead),
                       fmt::format("within a day: dead {}, uncertain {}, webhooks {}; in quarantine {}",
                                   live.messages_dead, live.messages_uncertain, live.webhooks_dead, live.quarantined));
}

std::string edge_lines(const std::vector<EdgeNumbers>& edges) {
    std::string text;
    for (const EdgeNumbers& edge : edges) {
        const std::string_view title = text.empty() ? "Edges" : "";
        text += edge.error.empty() ? line(title, edge.name,
                                          fmt::format("  spool {} of {}, {} batches not committed, {} held, {} refused",
                                                      in_bytes(spool_bytes_used(edge)), in_bytes(edge.spool_bytes_max),
                                                      edge.spool_batches, edge.held_events, edge.refused))
                                   : line(title, edge.name, "  " + printable(edge.error));
    }
    return text;
}

std::string month_lines(const MonthNumbers& month) {
    std::int64_t generations = 0;
    std::int64_t failed = 0;
    std::int64_t unpriced = 0;
    for (const auto& day : month.days) {
        generations += day.generations;
        failed += day.failed;
        unpriced += day.unpriced;
    }
    std::string text = line("This month", "$" + (month.cost_usd ? short_dollars(*month.cost_usd) : "0.00"),
                            fmt::format("{}, {} failed, {} without a known cost", counted(generations, "generation"),
                                        in_groups(failed), in_groups(unpriced)));
    for (const auto& gpu : month.gpus) {
        text += line("", gpu.cost_usd ? "$" + short_dollars(*gpu.cost_usd) : "-",
                     fmt::format("{}, {}", gpu.gpu.empty() ? "no GPU named" : printable(gpu.gpu),
                                 counted(gpu.generations, "generation")));
    }
    return text;
}

std::string trouble_lines(std::string_view title, const std::vector<Trouble>& troubles) {
    std::string text;
    for (const Trouble& trouble : troubles) {
        text += fmt::format("  {:<12} {}{}{}\n", trouble.what, printable(trouble.name),
                            trouble.reason.empty() ? "" : ": ", printable(trouble.reason));
        if (!trouble.command.empty()) {
            text += fmt::format("  {:<12} {}\n", "", printable(trouble.command));
        }
    }
    return text.empty() ? "" : fmt::format("\n{}\n{}", title, text);
}

template <class Value>
std::string fault_line(const Kept<Value>& kept, std::string_view what) {
    return kept.error.empty() ? "" : line(what, "not read", printable(kept.error));
}

}  // namespace

std::string printable(std::string_view text) {
    std::string line = without_controls(text, "\xEF\xBF\xBD");
    std::ranges::replace_if(
        line, [](char c) { return c == '\n' || c == '\t'; }, ' ');
    return line;
}

std::string status_text(const StatusFacts& facts) {
    const Overview::Numbers& numbers = facts.numbers;
    std::string text = verdict_lines(facts);
    if (facts.rates) {
        text += line("Events", as_rate(facts.rates->events),
                     fmt::format("settled {}, sent {}; last hour {} {}", as_rate(facts.rates->settlements),
                                 as_rate(facts.rates->messages),
                                 in_groups(static_cast<std::int64_t>(facts.rates->events_of_hour)),
                                 bars(facts.rates->events_by_minute)));
    }
    text += fault_line(numbers.live, "Ledger");
    if (numbers.live.value) {
        text += live_lines(*numbers.live.value);
    }
    if (numbers.edges.value) {
        text += edge_lines(*numbers.edges.value);
    }
    if (numbers.live.error != numbers.month.error) {
        text += fault_line(numbers.month, "This month");
    }
    if (numbers.month.value) {
        text += month_lines(*numbers.month.value);
    }
    std::vector<Trouble> troubles;
    if (numbers.live.value) {
        troubles = numbers.live.value->troubles;
    }
    if (numbers.month.value) {
        troubles.insert(troubles.end(), numbers.month.value->troubles.begin(), numbers.month.value->troubles.end());
    }
    text += trouble_lines("To deal with", troubles);
    if (numbers.live.value) {
        text += trouble_lines("Last failed runs", numbers.live.value->failed_runs);
    }
    return text;
}

}  // namespace runledger::tool
