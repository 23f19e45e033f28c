#include "daemon/tool/replay/replay.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <initializer_list>
#include <map>
#include <utility>
#include <variant>

#include "daemon/base/obeyed_characters.hpp"
#include "daemon/database/generation_name.hpp"
#include "daemon/ingest/turn_rows.hpp"
#include "daemon/ingest/write_turn.hpp"
#include "daemon/reconcile/lookups.hpp"
#include "daemon/reconcile/provider_report.hpp"
#include "daemon/tool/output/exit_code.hpp"
#include "daemon/tool/time_option.hpp"
#include "queries/reconcile.hpp"
#include "queries/replay.hpp"

namespace runledger::tool {
namespace {

constexpr int bodies_fetched_max = 32;  // Each may have body_bytes_max.
constexpr std::size_t folded_bytes_max = 4UL * 1024 * 1024;
constexpr std::size_t folded_events_max = 4096;
constexpr int settled_a_transaction_max = 500;  // Each holds an advisory lock until its transaction ends.

// Events that wait to be folded: the states point into the bodies.
class Fold {
public:
    Fold(const Statements& work, const ScratchSchema& scratch) : work_(work), scratch_(scratch) {}

    // False: this build would set the event aside.
    bool add(const pqxx::row& row) {
        bodies_.push_back(row["body"].as<std::string>());
        bytes_ += bodies_.back().size();
        const std::string& edge = edges_.emplace_back(row["edge"].as<std::string>());
        const StoredEvent stored{
            .event = {.stamp = {.received_at =
                                    WallTime{std::chrono::microseconds{row["received_us"].as<std::int64_t>()}},
                                .boottime = BootTime{std::chrono::microseconds{row["boottime_us"].as<std::int64_t>()}}},
                      .flags = row["redelivered"].as<bool>() ? std::uint32_t{wire::redelivered} : 0U,
                      .body = bodies_.back()},
            .boot = BootId::parse(row["boot"].as<std::string>()).value(),
            .name = {
                {SegmentId::parse(row["segment"].as<std::string>()).value(), row["batch_number"].as<std::uint64_t>()},
                row["event_index"].as<std::uint32_t>()}};
        const auto accepted = accept(stored, edge);
        if (const auto* event = std::get_if<AcceptedEvent>(&accepted)) {
            merge(runs_[event->received.event.run_id], state_of(event->received));
            edge_names_.try_emplace(stored.name.batch.segment, edge);
        }
        if (bytes_ >= folded_bytes_max || bodies_.size() >= folded_events_max) {
            write();
        }
        return std::holds_alternative<AcceptedEvent>(accepted);
    }

    void write() {
        write_states(work_, {.runs = runs_, .edges = edge_names_}, scratch_.name());
        runs_.clear();
        edge_names_.clear();
        edges_.clear();
        bodies_.clear();
        bytes_ = 0;
    }

private:
    const Statements& work_;
    const ScratchSchema& scratch_;
    std::map<std::string, RunState> runs_;
    std::map<SegmentId, std::string> edge_names_;
    std::deque<std::string> edges_;
    std::deque<std::string> bodies_;
    std::size_t bytes_{0};
};

void fold_events(const Statements& work, const ScratchSchema& scratch, const ReplayRange& range, ReplaySums& sums,
                 const ReplayProgress& progress) {
    Fold fold(work, scratch);
    work.run("DECLARE replayed NO SCROLL CURSOR FOR " + std::string(queries::replay::events), range.from, range.to);
    while (true) {
        const auto rows = work.run(fmt::format("FETCH {} FROM replayed", bodies_fetched_max));
        if (rows.empty()) {
            break;
        }
        progress("replaying events", sums.events);
        for (const auto& row : rows) {
            ++sums.events;
            sums.set_aside += fold.add(row) ? 0U : 1U;
        }
    }
    work.run("CLOSE replayed");
    fold.write();
}

void fold_reports(const Statements& work, const ScratchSchema& scratch, ReplaySums& sums) {
    work.run(scratch.text(queries::replay::copy_reports));
    work.run(fmt::format("DECLARE reports NO SCROLL CURSOR FOR SELECT run_id, body FROM {}.provider_reports",
                         scratch.name()));
    while (true) {
        const auto rows = work.run(fmt::format("FETCH {} FROM reports", bodies_fetched_max));
        if (rows.empty()) {
            break;
        }
        for (const auto& row : rows) {
            ++sums.reports;
            const auto run_id = row[0].as<std::string>();
            ArrayLiteral runs;
            runs.add(run_id);
            work.run(scratch.text(queries::reconcile::upsert_runs), runs.str());
            const auto decoded = decode_report(run_id, row[1].as<std::string>());
            if (const auto* report = std::get_if<ProviderReport>(&decoded)) {
                write_report_outputs(work, run_id, *report, scratch.name());
            }
        }
    }
    work.run("CLOSE reports");
}

// Until none is left; each in transactions of their own.
void settle_all(Database& database, const ScratchSchema& scratch, const SettleSettings& settle,
                const ReplayProgress& progress) {
    std::string after;
    std::uint64_t settled = 0;
    while (true) {
        Transaction work(database, unbounded);
        const auto rows = work.run(scratch.text(queries::replay::settle), after, settled_a_transaction_max,
                                   settle.outputs_grace.count(), settle.duration_max.count());
        if (rows.empty()) {
            return;
        }
        for (const auto& row : rows) {
            if (row[1].as<std::string>() == "failed") {
                throw std::runtime_error(fmt::format("{}: settling run {} failed: {}", scratch.name(),
                                                     row[0].as<std::string>(), row[2].as<std::string>()));
            }
        }
        after = rows.back()[0].as<std::string>();
        settled += rows.size();
        progress("settling runs", settled);
        database.commit(work);
    }
}

std::optional<std::string> text_of(const pqxx::field& field) {
    return field.is_null() ? std::nullopt : std::optional(field.as<std::string>());
}

void compare(Database& database, const ScratchSchema& scratch, ReplaySums& sums,
             const std::function<void(const RunDifference&)>& report) {
    Transaction work(database, unbounded);
    const auto totals = work.run1(scratch.text(queries::replay::sums));
    sums.runs = totals["runs"].as<std::uint64_t>();
    sums.compared = totals["compared"].as<std::uint64_t>();
    sums.cost_stored = totals["cost_stored"].as<std::string>();
    sums.cost_replayed = totals["cost_replayed"].as<std::string>();
    work.run("DECLARE differences NO SCROLL CURSOR FOR " + scratch.text(queries::replay::differences));
    while (true) {
        const auto rows = work.run("FETCH 1000 FROM differences");
        if (rows.empty()) {
            break;
        }
        for (const auto& row : rows) {
            ++sums.differing;
            report({.run_id = row["run_id"].as<std::string>(),
                    .generation_id = text_of(row["generation_id"]),
                    .application_id = text_of(row["application_id"]),
                    .generation_name = row["generation_id"].is_null() ? "-" : generation_name(row),
                    .stored = {.run_status = text_of(row["stored_run_status"]),
                               .status = text_of(row["stored_status"]),
                               .duration_ms = text_of(row["stored_duration_ms"]),
                               .cost_usd = text_of(row["stored_cost_usd"]),
                               .cost_note = text_of(row["stored_cost_note"])},
                    .replayed = {.run_status = text_of(row["run_status"]),
                                 .status = text_of(row["status"]),
                                 .duration_ms = text_of(row["duration_ms"]),
                                 .cost_usd = text_of(row["cost_usd"]),
                                 .cost_note = text_of(row["cost_note"])}});
        }
    }
}

JsonObject to_json(const RunDifference::Side& side) {
    JsonObject object;
    object.add("run_status", side.run_status).add("status", side.status).add("duration_ms", side.duration_ms);
    object.add("cost_usd", side.cost_usd).add("cost_note", side.cost_note);
    return object;
}

JsonObject to_json(const RunDifference& difference) {
    JsonObject object;
    object.add("run_id", difference.run_id).add("generation_id", difference.generation_id);
    object.add("application_id", difference.application_id);
    object.add("stored", to_json(difference.stored)).add("replayed", to_json(difference.replayed));
    return object;
}

// "status pending → completed, cost_usd - → 0.0034": only what differs.
std::string to_line(const RunDifference& difference) {
    std::string line;
    const auto& [stored, replayed] = std::pair{difference.stored, difference.replayed};
    const std::initializer_list<
        std::pair<const char*, std::pair<std::optional<std::string>, std::optional<std::string>>>>
        columns{{"run", {stored.run_status, replayed.run_status}},
                {"status", {stored.status, replayed.status}},
                {"duration_ms", {stored.duration_ms, replayed.duration_ms}},
                {"cost_usd", {stored.cost_usd, replayed.cost_usd}},
                {"cost_note", {stored.cost_note, replayed.cost_note}}};
    for (const auto& [name, values] : columns) {
        if (values.first != values.second) {
            line += fmt::format("{}{} {} → {}", line.empty() ? "" : ", ", name, values.first.value_or("-"),
                                values.second.value_or("-"));
        }
    }
    return fmt::format("{:<36}  {:>10}  {}", one_line(difference.run_id), difference.generation_name, line);
}

}  // namespace

ReplaySums replay(Database& database, const ScratchSchema& scratch, const ReplayRange& range,
                  const SettleSettings& settle, const ReplayProgress& progress,
                  const std::function<void(const RunDifference&)>& report) {
    ReplaySums sums;
    {
        Transaction work(database, unbounded);
        // One snapshot for the events and for what the ledger has made of them; as long as it takes.
        work.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
        work.run("SET LOCAL TIME ZONE 'UTC'");
        work.run("SELECT $1::timestamptz, $2::timestamptz", range.from,
                 range.to);  // A wrong one is told first.
        scratch.create(work);
        fold_events(work, scratch, range, sums, progress);
        fold_reports(work, scratch, sums);
        work.run(scratch.text(queries::replay::copy_generations));
        // The operator's rates instead of those that the schema is made with.
        work.run(fmt::format("DELETE FROM {}.gpu_rates", scratch.name()));
        work.run(fmt::format("INSERT INTO {}.gpu_rates SELECT * FROM runledger.gpu_rates", scratch.name()));
        work.run(scratch.text(queries::replay::keep_stored));
        database.commit(work);
    }
    settle_all(database, scratch, settle, progress);
    compare(database, scratch, sums, report);
    return sums;
}

ReplayCli::ReplayCli(CLI::App& app) {
    command_ =
        app.add_subcommand("replay", "Apply stored events again, in a scratch schema, and show the runs that differ");
    command_->add_option("--from", range_.from, "Receive time of the first event: 2026-01-31 or 2026-01-31T12:00Z")
        ->required();
    command_->add_option("--to", range_.to, "Receive times before this one")->required();
    command_->add_option("--into", into_, "The scratch schema; one that `replay` made before is made anew")->required();
}

int ReplayCli::run(const Config& config, Output& out) {
    const ScratchSchema scratch(into_);
    require_some_time({.name = "--from", .text = range_.from}, {.name = "--to", .text = range_.to});
    range_ = {.from = read_time_option("--from", range_.from), .to = read_time_option("--to", range_.to)};
    Database database(config.postgres.direct_uri, "replay");
    if (!out.as_json) {
        out.print("{:<36}  {:>10}  {}\n", "RUN", "GENERATION", "STORED → REPLAYED");
    }
    const auto progress = [&out](std::string_view doing, std::uint64_t done) { out.show_progress(doing, done, 0); };
    const auto report = [&out](const RunDifference& difference) {
        if (out.as_json) {
            out.print(to_json(difference));
        } else {
            out.print("{}\n", to_line(difference));
        }
    };
    const ReplaySums sums = replay(database, scratch, range_, config.settle, progress, report);
    if (!out.as_json) {
        out.print(
            "{} events ({} of them would be quarantined) and {} reports of {} runs; {} runs also have events "
            "outside this time and are left out\n{} runs compared, {} differ; cost_usd {} stored, {} replayed\n",
            sums.events, sums.set_aside, sums.reports, sums.runs, sums.runs - sums.compared, sums.compared,
            sums.differing, sums.cost_stored, sums.cost_replayed);
    }
    return sums.differing == 0 ? exit_yes : exit_no;
}

}  // namespace runledger::tool
