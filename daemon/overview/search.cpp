#include "daemon/overview/search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "daemon/base/masked_links.hpp"
#include "daemon/database/generation_name.hpp"
#include "daemon/overview/views.hpp"
#include "queries/overview.hpp"

namespace runledger {
namespace {

constexpr int found_max = 25;
constexpr int steps_max = 500;
constexpr std::size_t words_bytes_max = 256;

std::string text(const pqxx::field& field) { return field.is_null() ? "" : masked_links(field.c_str()); }

void take(std::vector<FoundRun>& found, const pqxx::result& rows) {
    for (const auto& row : rows) {
        FoundRun run{.generation_id = text(row["generation_id"]),
                     .name = generation_name(row),
                     .run_id = text(row["run_id"]),
                     .status = text(row["status"]),
                     .cost_usd = text(row["cost_usd"]),
                     .duration_ms = text(row["duration_ms"]),
                     .chat_id = text(row["telegram_chat_id"]),
                     .requested_at = text(row["requested_at"])};
        const bool is_known =
            std::ranges::any_of(found, [&](const FoundRun& known) { return known.generation_id == run.generation_id; });
        if (!is_known) {
            found.push_back(std::move(run));
        }
    }
}

std::string_view microseconds_of(std::string_view unit) {
    return unit == "second" ? "1000000" : unit == "minute" ? "60000000" : "3600000000";
}

void explain_cost(RunStory& story, const pqxx::row& cost) {
    story.generation = generation_name(cost);
    story.cost_usd = text(cost["cost_usd"]);
    story.duration_ms = text(cost["duration_ms"]);
    const std::string clock = text(cost["duration_clock"]);
    if (!clock.empty() && !cost["running_at"].is_null()) {
        story.cost_lines.push_back(fmt::format("It ran from {} to {} UTC: {} ms by {}.", text(cost["running_at"]),
                                               text(cost["finished_at"]), story.duration_ms,
                                               clock == "boottime"   ? "the clock of one boot of its edge"
                                               : clock == "realtime" ? "wall clocks"
                                               : clock == "provider" ? "the provider's clock"
                                                                     : "the application's record"));
    }
    const std::string unit = text(cost["rate_unit"]);
    const std::string amount = text(cost["rate_amount"]);
    if (!unit.empty()) {
        const bool is_gpus = text(cost["rate_source"]) == "gpu_rates";
        story.cost_lines.push_back(
            fmt::format("The rate is {} USD per {}, from {}.", amount, unit,
                        is_gpus ? fmt::format("gpu_rates for {}", text(cost["gpu"])) : "metadata.costRate"));
    }
    if (!story.cost_usd.empty() && unit.empty()) {
        story.cost_lines.push_back(
            fmt::format("{} USD, as it was written into the row: no rate gives it.", story.cost_usd));
    } else if (!story.cost_usd.empty() && (unit == "run" || unit == "request")) {
        story.cost_lines.push_back(fmt::format("A flat price: {} USD.", story.cost_usd));
    } else if (!story.cost_usd.empty() && unit == "token") {
        story.cost_lines.push_back(fmt::format("{} USD x {} tokens = {} USD, rounded to 12 decimals.", amount,
                                               text(cost["token_count"]), story.cost_usd));
    } else if (!story.cost_usd.empty() && !unit.empty() && !story.duration_ms.empty()) {
        story.cost_lines.push_back(fmt::format("{} USD x {} ms x 1000 / {} us = {} USD, rounded to 12 decimals.",
                                               amount, story.duration_ms, microseconds_of(unit), story.cost_usd));
    }
    if (const std::string note = text(cost["cost_note"]); !note.empty()) {
        story.cost_lines.push_back(
            fmt::format("{}: {}.", story.cost_usd.empty() ? "No cost" : "Note",
                        note == "not_charged" ? std::string("only a success is charged") : note));
    }
    if (const std::string reason = text(cost["status_reason"]); !reason.empty()) {
        story.cost_lines.push_back(fmt::format("Reason: {}", reason));
    }
}

RunStory tell(const Statements& work, const std::string& run_id) {
    RunStory story{.run_id = run_id};
    for (const auto& run : work.run(queries::overview::run, run_id)) {
        story.status = text(run["status"]);
        story.has_ended = run["has_ended"].as<bool>();
        story.event_count = run["event_count"].as<std::int64_t>();
        if (!story.has_ended) {
            const std::string live = text(run["latest_live_status"]);
            const std::string percent = text(run["latest_percent"]);
            story.latest = fmt::format("Not ended. Last heard of at {}: {}{}{}", text(run["latest_at"]),
                                       text(run["latest_status"]), live.empty() ? "" : ", " + live,
                                       percent.empty() ? "" : fmt::format(" ({} %)", percent));
        }
    }
    for (const auto& cost : work.run(queries::overview::cost, run_id)) {
        explain_cost(story, cost);
    }
    std::int64_t events = 0;
    for (const auto& row : work.run(queries::overview::timeline, run_id, steps_max + 1)) {
        if (story.steps.size() == steps_max) {
            story.is_cut = true;
            break;
        }
        TimelineStep step{.day = text(row["day"]),
                          .time = text(row["time"]),
                          .step = text(row["step"]),
                          .status = text(row["status"]),
                          .edge = text(row["edge"]),
                          .detail = text(row["detail"])};
        if (!row["after_seconds"].is_null()) {
            step.after_seconds = row["after_seconds"].as<double>();
        }
        events += step.step == "received" ? 1 : 0;
        story.steps.push_back(std::move(step));
    }
    story.events_gone = story.is_cut ? 0 : std::max<std::int64_t>(story.event_count - events, 0);
    return story;
}

std::optional<std::int64_t> number_in(std::string_view words) {
    std::int64_t number = 0;
    const auto [end, fault] = std::from_chars(words.data(), words.data() + words.size(), number);
    return fault == std::errc{} && end == words.data() + words.size() ? std::optional(number) : std::nullopt;
}

}  // namespace

bool is_searchable(std::string_view words) {
    if (words.empty() || words.size() > words_bytes_max) {
        return false;
    }
    for (std::size_t i = 0; i < words.size();) {
        const auto byte = static_cast<unsigned char>(words[i]);
        const std::size_t length = byte < 0x80 ? 1 : byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
        const bool is_bad = byte == 0 || (byte >= 0x80 && byte < 0xC2) || byte > 0xF4;
        if (is_bad || i + length > words.size()) {
            return false;
        }
        for (std::size_t k = 1; k < length; ++k) {
            if ((static_cast<unsigned char>(words[i + k]) & 0xC0U) != 0x80) {
                return false;
            }
        }
        i += length;
    }
    return true;
}

SearchResult RunSearch::find(const std::string& words) {
    if (!is_searchable(words)) {
        return {};
    }
    try {
        SearchResult result;
        const ReaderViews work(database_, std::chrono::seconds{3});
        take(result.found, work.run(queries::overview::find_by_run, words));
        take(result.found, work.run(queries::overview::find_by_key, words));
        if (const auto number = number_in(words)) {
            take(result.found, work.run(queries::overview::find_by_chat, *number, found_max));
        }
        if (result.found.size() > 1) {
            return result;
        }
        // A run that no generation names has a story, too.
        RunStory story =
            tell(work, result.found.empty() || result.found[0].run_id.empty() ? words : result.found[0].run_id);
        if (!story.steps.empty() || !story.status.empty()) {
            result.story = std::move(story);
        }
        return result;
    } catch (const std::exception& error) {
        (void)database_.give_up(error);  // The caller shows why.
        throw;
    }
}

}  // namespace runledger
