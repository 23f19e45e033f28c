#include "daemon/overview/reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "daemon/base/masked_links.hpp"
#include "daemon/base/obeyed_characters.hpp"
#include "daemon/database/generation_name.hpp"
#include "daemon/database/transaction.hpp"
#include "daemon/overview/health.hpp"
#include "daemon/overview/views.hpp"
#include "daemon/overview/words.hpp"
#include "queries/overview.hpp"

namespace runledger {
namespace {

// Counts end here; a page shows "10 000 or more".
constexpr int counted_max = 10'000;
constexpr int shown_max = 6;

std::int64_t number(const pqxx::field& field) { return field.is_null() ? 0 : field.as<std::int64_t>(); }

std::string text(const pqxx::field& field) { return field.is_null() ? "" : masked_links(field.c_str()); }

std::optional<std::string> money(const pqxx::field& field) {
    return field.is_null() ? std::nullopt : std::optional(field.as<std::string>());
}

Lag lag_of(const pqxx::row& row) {
    Lag lag{.runs = row["runs"].as<std::int64_t>()};
    if (lag.runs > 0) {
        lag.median = row["median"].as<double>();
        lag.high = row["high"].as<double>();
        lag.highest = row["highest"].as<double>();
    }
    return lag;
}

void read_in_flight(const Statements& work, LiveNumbers& numbers) {
    static constexpr std::array<std::string_view, 6> order{"not-started", "queued",    "started",
                                                           "running",     "uploading", "unknown"};
    std::int64_t counted = 0;
    for (const auto& row : work.run(queries::overview::in_flight, counted_max)) {
        RunsInFlight runs{.status = row["status"].as<std::string>(), .runs = row["runs"].as<std::int64_t>()};
        if (!row["oldest_seconds"].is_null()) {
            runs.oldest_seconds = row["oldest_seconds"].as<std::int64_t>();
        }
        if (!row["latest_seconds"].is_null()) {
            const auto latest = row["latest_seconds"].as<std::int64_t>();
            numbers.latest_seconds = std::min(numbers.latest_seconds.value_or(latest), latest);
        }
        counted += runs.runs;
        numbers.in_flight.push_back(std::move(runs));
    }
    numbers.in_flight_is_cut = counted >= counted_max;
    std::ranges::sort(numbers.in_flight, {},
                      [](const RunsInFlight& runs) { return std::ranges::find(order, runs.status) - order.begin(); });
}

void read_unsettled(const Statements& work, LiveNumbers& numbers) {
    for (const auto& row : work.run(queries::overview::unsettled, shown_max)) {
        numbers.unsettled = number(row["runs"]);
        numbers.unsettled_failing = number(row["failing"]);
        numbers.unsettled_oldest_seconds = number(row["oldest_seconds"]);
        if (row["run_id"].is_null()) {
            continue;
        }
        const auto run_id = row["run_id"].as<std::string>();
        numbers.troubles.push_back({.what = "unsettled",
                                    .name = "run " + run_id,
                                    .run_id = run_id,
                                    .reason = text(row["last_error"]),
                                    .at = "",
                                    .command = "runledger explain " + shell_word(run_id)});
    }
}

void read_messages(const Statements& work, LiveNumbers& numbers) {
    const pqxx::row outbox = work.run1(queries::overview::outbox, counted_max);
    numbers.messages_pending = number(outbox["pending"]);
    numbers.messages_leased = number(outbox["leased"]);
    numbers.messages_dead = number(outbox["dead"]);
    numbers.messages_uncertain = number(outbox["uncertain"]);
    numbers.messages_oldest_seconds = number(outbox["oldest_seconds"]);
    numbers.webhooks_pending = number(outbox["webhooks_pending"]);
    numbers.webhooks_leased = number(outbox["webhooks_leased"]);
    numbers.webhooks_dead = number(outbox["webhooks_dead"]);
    numbers.webhooks_oldest_seconds = number(outbox["webhooks_oldest_seconds"]);
    for (const auto& row : work.run(queries::overview::failed_messages, shown_max)) {
        const auto state = row["state"].as<std::string>();
        const auto id = row["notification_id"].as<std::string>();
        const bool is_webhook = row["channel"].as<std::string>() == "webhook";
        const std::string group = row["group_id"].is_null() ? "" : " about group " + text(row["group_id"]);
        numbers.troubles.push_back(
            {.what = state,
             .name =
                 fmt::format("{} {}{} to {}", is_webhook ? "webhook" : "message", id, group, text(row["recipient"])),
             .run_id = row["run_id"].is_null() ? "" : row["run_id"].as<std::string>(),  // None: a group's end.
             .reason = text(row["last_error"]),
             .at = row["created_at"].as<std::string>(),
             .command = fmt::format("runledger outbox {} {}", state == "dead" ? "retry" : "show", id)});
    }
}

void read_quarantine(const Statements& work, LiveNumbers& numbers) {
    for (const auto& row : work.run(queries::overview::quarantine, counted_max, shown_max)) {
        numbers.quarantined = number(row["open"]);
        if (row["quarantine_id"].is_null()) {
            continue;
        }
        const auto id = row["quarantine_id"].as<std::string>();
        numbers.troubles.push_back({.what = "quarantined",
                                    .name = fmt::format("{} {}", row["scope"].as<std::string>(), id),
                                    .run_id = row["run_id"].is_null() ? "" : row["run_id"].as<std::string>(),
                                    .reason = text(row["reason"]),
                                    .at = row["quarantined_at"].as<std::string>(),
                                    .command = fmt::format("runledger quarantine show {}", id)});
    }
}

void read_failed_runs(const Statements& work, LiveNumbers& numbers) {
    for (const auto& row : work.run(queries::overview::failed_runs, shown_max)) {
        const std::string run_id = row["run_id"].is_null() ? "" : row["run_id"].as<std::string>();
        numbers.failed_runs.push_back({.what = "failed",
                                       .name = "generation " + generation_name(row),
                                       .run_id = run_id,
                                       .reason = text(row["status_reason"]),
                                       .at = row["failed_at"].as<std::string>(),
                                       .command = run_id.empty() ? "" : "runledger explain " + shell_word(run_id)});
    }
}

void read_days(const Statements& work, MonthNumbers& numbers) {
    for (const auto& row : work.run(queries::overview::month_days)) {
        numbers.zone = row["zone"].as<std::string>();
        numbers.cost_usd = money(row["month_usd"]);
        numbers.days.push_back({.day = row["day"].as<int>(),
                                .date = row["date"].as<std::string>(),
                                .generations = number(row["generations"]),
                                .completed = number(row["completed"]),
                                .failed = number(row["failed"]),
                                .unpriced = number(row["unpriced"]),
                                .cost_usd = money(row["cost_usd"]),
                                .height = row["height"].as<double>(),
                                .is_today = row["is_today"].as<bool>()});
    }
    for (const auto& row : work.run(queries::overview::month_gpus, 12)) {
        numbers.gpus.push_back({.gpu = row["gpu"].as<std::string>(),
                                .generations = number(row["generations"]),
                                .unpriced = number(row["unpriced"]),
                                .cost_usd = money(row["cost_usd"]),
                                .width = row["width"].as<double>()});
    }
}

void read_long_looks(const Statements& work, MonthNumbers& numbers) {
    for (const auto& row : work.run(queries::overview::stuck, counted_max, shown_max)) {
        numbers.stuck = number(row["runs"]);
        if (row["run_id"].is_null()) {
            continue;
        }
        const auto run_id = row["run_id"].as<std::string>();
        numbers.troubles.push_back(
            {.what = "stuck",
             .name = "run " + run_id,
             .run_id = run_id,
             .reason = fmt::format("{}, silent for {}", row["status"].as<std::string>(),
                                   in_words(std::chrono::seconds{number(row["silent_seconds"])})),
             .at = "",
             .command = "runledger explain " + shell_word(run_id)});
    }
    std::int64_t unpriced = 0;
    std::string notes;
    for (const auto& row : work.run(queries::overview::unpriced)) {
        unpriced += row["without_cost"].as<std::int64_t>();
        notes += fmt::format("{}{} {}", notes.empty() ? "" : ", ", row["without_cost"].as<std::string>(),
                             row["cost_note"].as<std::string>());
    }
    if (unpriced > 0) {
        numbers.troubles.push_back(
            {.what = "unpriced",
             .name = counted(unpriced, "completed generation"),
             .run_id = "",
             .reason = fmt::format("Without a known cost: {}. docs/dba.md, \"Money and time\", has the notes.", notes),
             .at = "",
             .command = "SELECT * FROM runledger.unpriced_generations_v1 WHERE status = 'completed'"});
    }
}

// In quotes these would be shown as something else, and the command would name another run.
bool has_unseen(std::string_view text) {
    while (!text.empty()) {
        const Character character = first_character(text);
        if (character.is_utf8 && is_obeyed(character.code)) {
            return true;
        }
        text.remove_prefix(character.bytes);
    }
    return false;
}

}  // namespace

std::string shell_word(const std::string& text) {
    if (has_unseen(text)) {
        std::string quoted = "$'";
        for (const char c : text) {
            if (c >= ' ' && c <= '~' && c != '\'' && c != '\\') {
                quoted.push_back(c);
            } else {
                quoted += fmt::format("\\{:03o}", static_cast<unsigned char>(c));
            }
        }
        return (text.starts_with('-') ? "-- " : "") + quoted + "'";
    }
    const bool is_plain =
        !text.empty() && text.front() != '-' &&
        text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:") ==
            std::string::npos;
    if (is_plain) {
        return text;
    }
    std::string quoted = "'";
    for (const char c : text) {
        if (c == '\'') {
            quoted += "'\\''";
        } else {
            quoted.push_back(c);
        }
    }
    return (text.starts_with('-') ? "-- " : "") + quoted + "'";
}

LiveNumbers OverviewReader::read_live() {
    try {
        LiveNumbers numbers;
        const ReaderViews work(database_, std::chrono::seconds{3});
        read_in_flight(work, numbers);
        const pqxx::row commit = work.run1(queries::overview::commit_lag);
        numbers.commit_lag = lag_of(commit);
        if (!commit["latest_seconds"].is_null()) {
            const auto latest = commit["latest_seconds"].as<std::int64_t>();
            numbers.latest_seconds = std::min(numbers.latest_seconds.value_or(latest), latest);
        }
        numbers.settle_lag = lag_of(work.run1(queries::overview::settle_lag));
        read_unsettled(work, numbers);
        read_messages(work, numbers);
        read_quarantine(work, numbers);
        read_failed_runs(work, numbers);
        return numbers;
    } catch (const std::exception& error) {
        (void)database_.give_up(error);  // The caller shows why.
        throw;
    }
}

MonthNumbers OverviewReader::read_month() {
    try {
        MonthNumbers numbers;
        const ReaderViews work(database_, std::chrono::seconds{20});
        read_days(work, numbers);
        read_long_looks(work, numbers);
        return numbers;
    } catch (const std::exception& error) {
        (void)database_.give_up(error);  // The caller shows why.
        throw;
    }
}

std::string why_not_read(const std::exception& error) {
    if (is_outage(error)) {
        return "PostgreSQL is away";
    }
    const std::string_view state = sqlstate_of(error);
    if (state == "42501") {
        return "the login may not read the views; let a superuser run: GRANT runledger_reader TO the login of "
               "[page] uri, or, without one, of [postgres] uri";
    }
    if (state == "57014") {
        return "PostgreSQL took too long";
    }
    if (state == "42P01" || state == "42703" || state == "3F000") {
        return "the schema is not this version's: run `runledger migrate`";
    }
    std::string why = masked_links(error.what());
    std::ranges::replace(why, '\n', ' ');
    return "PostgreSQL says: " + why;
}

}  // namespace runledger
