#include "daemon/tool/events/events.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>

#include "daemon/base/obeyed_characters.hpp"
#include "daemon/tool/output/exit_code.hpp"
#include "daemon/tool/time_option.hpp"
#include "queries/events.hpp"

namespace runledger::tool {
namespace {

// An edge's clock can be ahead of the database's: an event may bear a later time than the day in which it was stored.
constexpr std::string_view clock_difference_max = "1 hour";
constexpr std::chrono::milliseconds look_again_after{500};
// applied_at is when apply's transaction began; its events can be seen when it has ended.
constexpr std::string_view commit_delay_max = "1 minute";

std::optional<std::string> given(const std::string& text) { return text.empty() ? std::nullopt : std::optional(text); }

std::optional<std::string> given(const std::vector<std::string>& texts) {
    return texts.empty() ? std::nullopt : std::optional(array_of(texts));
}

void print_head(Output& out) {
    if (!out.as_json) {
        out.print("{:<27}  {:<36}  {:<11}  {:<16}  {:>7}  {}\n", "RECEIVED", "RUN", "STATUS", "EDGE", "BYTES",
                  "REMARK");
    }
}

void print_event(const pqxx::row& row, Output& out) {
    if (out.as_json) {
        out.print(JsonObject().add(row));
        return;
    }
    std::string remark = row["redelivered"].as<bool>() ? "redelivered" : "";
    if (const auto type = row["event_type"].as<std::string>(); type != "run.updated") {
        remark += (remark.empty() ? "" : ", ") + one_line(type);
    }
    if (row["simulated"].as<bool>()) {
        remark += std::string(remark.empty() ? "" : ", ") + "simulated";
    }
    out.print("{:<27}  {:<36}  {:<11}  {:<16}  {:>7}  {}\n", row["received_at"].as<std::string>(),
              one_line(row["run_id"].as<std::string>()), one_line(row["status"].as<std::string>()),
              one_line(row["edge"].as<std::string>()), row["bytes"].as<std::int64_t>(), remark);
}

StoredEventName name_of(const pqxx::row& row) {
    return {row["segment"].as<std::string>(), row["batch_number"].as<std::int64_t>(),
            row["event_index"].as<std::int64_t>()};
}

// ISO 8601 with the same number of digits sorts as text.
bool is_newer(const pqxx::row& a, const pqxx::row& b) {
    return std::tuple(a["received_at"].as<std::string>(), name_of(a)) >
           std::tuple(b["received_at"].as<std::string>(), name_of(b));
}

}  // namespace

EventsCli::EventsCli(CLI::App& app)
    : command_(app.add_subcommand("events", "Search the stored events by run, status, edge and time, or follow them")) {
    command_->add_option("--run", run_id_, "Only of this run");
    command_->add_option("--status", statuses_, "Only with this status, as sent; may be repeated");
    command_->add_option("--edge", edge_, "Only those that this nginx host received");
    command_->add_option("--from", from_, "Received at this time or later: 2026-01-31 or 2026-01-31T12:00Z");
    CLI::Option* to = command_->add_option("--to", to_, "Received before this time");
    command_->add_option("--limit", count_max_, "Show at most this many, the newest")
        ->check(CLI::Range(1, 100'000))
        ->capture_default_str();
    command_->add_flag("--follow", follow_, "Go on with each event as it is stored, until interrupted")->excludes(to);
}

int EventsCli::run(const std::string& postgres_uri, Output& out) {
    require_some_time({.name = "--from", .text = from_}, {.name = "--to", .text = to_});
    if (!from_.empty()) {
        from_ = read_time_option("--from", from_);
    }
    if (!to_.empty()) {
        to_ = read_time_option("--to", to_);
    }
    Database database(postgres_uri, "events");
    std::size_t shown = 0;
    Seen seen;
    {
        const Snapshot work(database);
        if (follow_) {
            seen = look(work, "", [](const pqxx::row&) {});
        }
        const std::vector<pqxx::row> events = find(work);
        print_head(out);
        for (const pqxx::row& event : events) {
            print_event(event, out);
        }
        shown = events.size();
    }
    if (follow_) {
        follow(database, std::move(seen), out);
    }
    if (!out.as_json) {
        out.print("{} events{}\n", shown,
                  shown == static_cast<std::size_t>(count_max_) ? " (--limit; there may be earlier ones)" : "");
    }
    return shown > 0 ? exit_yes : exit_no;
}

// The newest ones, in the order in which they were received.
std::vector<pqxx::row> EventsCli::find(const Statements& work) const {
    if (run_id_.empty()) {
        return find_day_by_day(work);
    }
    const auto rows = work.run(queries::events::of_run, run_id_, given(statuses_), given(edge_), given(from_),
                               given(to_), count_max_);
    std::vector<pqxx::row> found(rows.begin(), rows.end());
    std::ranges::reverse(found);
    return found;
}

std::vector<pqxx::row> EventsCli::find_day_by_day(const Statements& work) const {
    const auto count_max = static_cast<std::size_t>(count_max_);
    std::vector<pqxx::row> found;
    for (const auto& day : work.run(queries::events::days)) {
        const auto begins = day["day"].as<std::string>();
        const auto ends = day["next_day"].as<std::string>();
        // What was stored on an earlier day was received before this day, apart from a difference of clocks.
        const bool is_before_from =
            !from_.empty() &&
            work.run1("SELECT $1::date::timestamp AT TIME ZONE 'UTC' + $2::interval < $3::timestamptz", ends,
                      std::string(clock_difference_max), from_)[0]
                .as<bool>();
        const bool is_older_than_found =
            found.size() == count_max &&
            work.run1("SELECT $1::date::timestamp AT TIME ZONE 'UTC' + $2::interval < $3::timestamptz", ends,
                      std::string(clock_difference_max), found.back()["received_at"].as<std::string>())[0]
                .as<bool>();
        if (is_before_from || is_older_than_found) {
            break;
        }
        const auto rows = work.run(queries::events::of_day, begins, ends, given(statuses_), given(edge_), given(from_),
                                   given(to_), count_max_);
        found.insert(found.end(), rows.begin(), rows.end());
        std::ranges::sort(found, is_newer);
        found.resize(std::min(found.size(), count_max));
    }
    std::ranges::reverse(found);
    return found;
}

EventsCli::Seen EventsCli::look(const Statements& work, const std::string& since,
                                const std::function<void(const pqxx::row&)>& each) const {
    Seen seen{.since = work.run1("SELECT to_char((now() - $1::interval) AT TIME ZONE 'UTC', "
                                 "'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')",
                                 std::string(commit_delay_max))[0]
                           .as<std::string>(),
              .names = {}};
    for (const auto& row : work.run(queries::events::applied_since, since.empty() ? seen.since : since, given(run_id_),
                                    given(statuses_), given(edge_))) {
        each(row);
        seen.names.insert(name_of(row));
    }
    return seen;
}

// Looks again and again at what was applied within the last minute and is not shown yet: a transaction of apply's may
// end after one that began later. An event that has waited in a spool comes, too: when it was received does not matter.
void EventsCli::follow(Database& database, Seen seen, Output& out) const {
    while (true) {
        if (!out.flush()) {
            throw std::runtime_error("standard output can't be written");
        }
        std::this_thread::sleep_for(look_again_after);  // Nothing tells when an event is stored.
        const Snapshot work(database);
        seen = look(work, seen.since, [&](const pqxx::row& row) {
            if (!seen.names.contains(name_of(row))) {
                print_event(row, out);
            }
        });
    }
}

}  // namespace runledger::tool
