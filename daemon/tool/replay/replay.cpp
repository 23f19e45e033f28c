#include "daemon/tool/replay/replay.hpp"

#include <fmt/format.h>

#include <deque>
#include <map>
#include <variant>

#include "daemon/ingest/ledger.hpp"
#include "daemon/ingest/ledger_rows.hpp"
#include "daemon/reconcile/lookups.hpp"
#include "daemon/reconcile/provider_report.hpp"
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
    Fold(pqxx::work& work, const ScratchSchema& scratch) : work_(work), scratch_(scratch) {}

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
    pqxx::work& work_;
    const ScratchSchema& scratch_;
    std::map<std::string, RunState> runs_;
    std::map<SegmentId, std::string> edge_names_;
    std::deque<std::string> edges_;
    std::deque<std::string> bodies_;
    std::size_t bytes_{0};
};

void fold_events(pqxx::work& work, const ScratchSchema& scratch, const ReplayRange& range, ReplaySums& sums) {
    Fold fold(work, scratch);
    work.exec_params("DECLARE replayed NO SCROLL CURSOR FOR " + std::string(queries::replay::events), range.from,
                     range.to);
    while (true) {
        const auto rows = work.exec(fmt::format("FETCH {} FROM replayed", bodies_fetched_max));
        if (rows.empty()) {
            break;
        }
        for (const auto& row : rows) {
            ++sums.events;
            sums.set_aside += fold.add(row) ? 0U : 1U;
        }
    }
    work.exec("CLOSE replayed");
    fold.write();
}

void fold_reports(pqxx::work& work, const ScratchSchema& scratch, ReplaySums& sums) {
    work.exec(scratch.text(queries::replay::copy_reports));
    work.exec(fmt::format("DECLARE reports NO SCROLL CURSOR FOR SELECT run_id, body FROM {}.provider_reports",
                          scratch.name()));
    while (true) {
        const auto rows = work.exec(fmt::format("FETCH {} FROM reports", bodies_fetched_max));
        if (rows.empty()) {
            break;
        }
        for (const auto& row : rows) {
            ++sums.reports;
            const auto run_id = row[0].as<std::string>();
            ArrayLiteral runs;
            runs.add(run_id);
            work.exec_params(scratch.text(queries::reconcile::upsert_runs), runs.str());
            const auto decoded = decode_report(run_id, row[1].as<std::string>());
            if (const auto* report = std::get_if<ProviderReport>(&decoded)) {
                write_report_outputs(work, run_id, *report, scratch.name());
            }
        }
    }
    work.exec("CLOSE reports");
}

// Until none is left; each in transactions of their own.
void settle_all(Database& database, const ScratchSchema& scratch, const Config::Settle& settle) {
    std::string after;
    while (true) {
        pqxx::work work(database.connection());
        secure_search_path(work);
        const auto rows = work.exec_params(scratch.text(queries::replay::settle), after, settled_a_transaction_max,
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
        database.commit(work);
    }
}

std::optional<std::string> text_of(const pqxx::field& field) {
    return field.is_null() ? std::nullopt : std::optional(field.as<std::string>());
}

void compare(Database& database, const ScratchSchema& scratch, ReplaySums& sums,
             const std::function<void(const RunDifference&)>& report) {
    pqxx::work work(database.connection());
    secure_search_path(work);
    const auto totals = work.exec1(scratch.text(queries::replay::sums));
    sums.runs = totals["runs"].as<std::uint64_t>();
    sums.compared = totals["compared"].as<std::uint64_t>();
    sums.cost_stored = totals["cost_stored"].as<std::string>();
    sums.cost_replayed = totals["cost_replayed"].as<std::string>();
    work.exec("DECLARE differences NO SCROLL CURSOR FOR " + scratch.text(queries::replay::differences));
    while (true) {
        const auto rows = work.exec("FETCH 1000 FROM differences");
        if (rows.empty()) {
            break;
        }
        for (const auto& row : rows) {
            ++sums.differing;
            report({.run_id = row["run_id"].as<std::string>(),
                    .generation_id = text_of(row["generation_id"]),
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

}  // namespace

ReplaySums replay(Database& database, const ScratchSchema& scratch, const ReplayRange& range,
                  const Config::Settle& settle, const std::function<void(const RunDifference&)>& report) {
    ReplaySums sums;
    {
        pqxx::work work(database.connection());
        secure_search_path(work);
        // One snapshot for the events and for what the ledger has made of them; as long as it takes.
        work.exec("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
        work.exec("SET LOCAL statement_timeout = 0; SET LOCAL TIME ZONE 'UTC'");
        work.exec_params("SELECT $1::timestamptz, $2::timestamptz", range.from,
                         range.to);  // A wrong one is told first.
        scratch.create(work);
        fold_events(work, scratch, range, sums);
        fold_reports(work, scratch, sums);
        work.exec(scratch.text(queries::replay::copy_generations));
        // The operator's rates instead of those that the schema is made with.
        work.exec(fmt::format("DELETE FROM {}.gpu_rates", scratch.name()));
        work.exec(fmt::format("INSERT INTO {}.gpu_rates SELECT * FROM runledger.gpu_rates", scratch.name()));
        work.exec(scratch.text(queries::replay::keep_stored));
        database.commit(work);
    }
    settle_all(database, scratch, settle);
    compare(database, scratch, sums, report);
    return sums;
}

}  // namespace runledger::tool
