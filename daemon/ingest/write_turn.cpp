#include "daemon/ingest/write_turn.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include "daemon/database/schema.hpp"
#include "daemon/ingest/late_events.hpp"
#include "daemon/ingest/turn_rows.hpp"
#include "queries/apply.hpp"
#include "queries/quarantine.hpp"
#include "queries/retire.hpp"

namespace runledger {
namespace {

// Tombstones: what the segment's batch count is, for those that are retired.
std::map<SegmentId, std::optional<std::uint64_t>> lock_segments(const Statements& work,
                                                                std::span<const wire::Batch* const> batches) {
    std::map<SegmentId, std::string> edges;
    for (const wire::Batch* batch : batches) {
        edges.try_emplace(batch->name.segment, edge_text(*batch));
    }
    ArrayLiteral segments;
    ArrayLiteral names;
    for (const auto& [segment, edge] : edges) {
        segments.add(segment.hex());
        names.add(edge);
    }
    const std::string segment_array = segments.str();
    ask(work, queries::apply::insert_segments, segment_array, names.str());
    std::map<SegmentId, std::optional<std::uint64_t>> known;
    for (const auto& row : ask(work, queries::apply::lock_segments, segment_array)) {
        const auto segment = SegmentId::parse(row[0].as<std::string>());
        known[segment.value()] =
            row[1].is_null() ? std::nullopt : std::optional<std::uint64_t>{row[1].as<std::uint64_t>()};
    }
    return known;
}

// Events that no row of ingested_batches counts: the books are told of them at once.
struct LateCopies {
    std::string edge;
    std::int64_t duplicate{0};
    std::int64_t quarantined{0};
};

void count_late(const Statements& work, const std::map<SegmentId, LateCopies>& late) {
    if (late.empty()) {
        return;
    }
    ArrayLiteral segments;
    ArrayLiteral names;
    ArrayLiteral duplicate;
    ArrayLiteral quarantined;
    for (const auto& [segment, events] : late) {
        segments.add(segment.hex());
        names.add(events.edge);
        duplicate.add(events.duplicate);
        quarantined.add(events.quarantined);
    }
    ask(work, queries::apply::count_late, segments.str(), names.str(), duplicate.str(), quarantined.str());
}

// Says of each batch that is not of a retired segment what it is; its name is in the ledger then.
void enter_open_batches(const Statements& work, std::span<const wire::Batch* const> batches,
                        const std::map<BatchName, std::size_t>& open, std::vector<BatchResult>& results) {
    if (open.empty()) {
        return;
    }
    ArrayLiteral ids;
    ArrayLiteral numbers;
    ArrayLiteral digests;
    ArrayLiteral counts;
    for (const auto& [name, i] : open) {
        ids.add(name.segment.hex());
        numbers.add(static_cast<std::int64_t>(name.number));
        digests.add(hex(batches[i]->digest));
        counts.add(static_cast<std::int64_t>(batches[i]->events.size()));
    }
    const auto rows = ask(work, queries::apply::insert_batches, ids.str(), numbers.str(), digests.str(), counts.str());
    for (const auto& row : rows) {
        const BatchName name{SegmentId::parse(row[0].as<std::string>()).value(), row[1].as<std::uint64_t>()};
        const std::size_t i = open.at(name);
        if (row[2].as<std::string>() != hex(batches[i]->digest)) {
            results[i] = BatchResult::conflict;
        } else if (row[3].as<std::int64_t>() > 0) {
            results[i] = BatchResult::copy;
        }
    }
}

// Enters the names of the batches, and says what each is.
std::vector<BatchResult> enter_batches(const Statements& work, std::span<const wire::Batch* const> batches) {
    const auto segments = lock_segments(work, batches);
    std::vector<BatchResult> results(batches.size(), BatchResult::applied);
    std::map<BatchName, std::size_t> open;
    for (std::size_t i = 0; i < batches.size(); ++i) {
        const auto& tombstone = segments.at(batches[i]->name.segment);
        if (!tombstone) {
            open.emplace(batches[i]->name, i);
        } else {
            // It was committed before its segment was retired; a number past the count never existed.
            results[i] = batches[i]->name.number < *tombstone ? BatchResult::copy : BatchResult::conflict;
        }
    }
    enter_open_batches(work, batches, open, results);

    std::map<SegmentId, LateCopies> late;
    for (std::size_t i = 0; i < batches.size(); ++i) {
        const wire::Batch& batch = *batches[i];
        const bool is_conflict = results[i] == BatchResult::conflict;
        if (is_conflict || (results[i] == BatchResult::copy && !open.contains(batch.name))) {
            LateCopies& events =
                late.try_emplace(batch.name.segment, LateCopies{.edge = edge_text(batch)}).first->second;
            (is_conflict ? events.quarantined : events.duplicate) += static_cast<std::int64_t>(batch.events.size());
        }
    }
    count_late(work, late);
    return results;
}

void count_quarantined(const Statements& work, const std::map<BatchName, std::int64_t>& quarantined) {
    if (quarantined.empty()) {
        return;
    }
    ArrayLiteral segments;
    ArrayLiteral numbers;
    ArrayLiteral counts;
    for (const auto& [name, events] : quarantined) {
        segments.add(name.segment.hex());
        numbers.add(static_cast<std::int64_t>(name.number));
        counts.add(events);
    }
    ask(work, queries::apply::count_quarantined, segments.str(), numbers.str(), counts.str());
}

void write_quarantine(const Statements& work, const QuarantineRow& row) {
    // libpqxx 6 takes a null pointer for NULL.
    const auto or_null = [](const std::optional<std::string>& value) { return value ? value->c_str() : nullptr; };
    ask(work, queries::apply::insert_quarantine, row.scope, row.reason, row.name.batch.segment.hex(),
        row.name.batch.number, or_null(row.index), row.edge, or_null(row.received_at), or_null(row.boot),
        or_null(row.boottime_us), or_null(row.run_id), row.content_hex, or_null(row.batch_event_count),
        or_null(row.redelivered));
}

void write_events(const Statements& work, std::span<const AcceptedEvent> events) {
    static const std::vector<std::string> columns{"segment_id",  "batch_number", "event_index", "edge",
                                                  "received_at", "boot_id",      "boottime_us", "redelivered",
                                                  "run_id",      "event_type",   "status",      "body"};
    RowCopy copy(work, "runledger.webhook_events", columns);
    for (const AcceptedEvent& accepted : events) {
        const ReceivedEvent& received = accepted.received;
        copy.add(received.name.batch.segment.hex(), received.name.batch.number, received.name.index, *accepted.edge,
                 timestamp_text(received.stamp.received_at), received.boot.hex(),
                 received.stamp.boottime.since_boot.count(), received.redelivered, received.event.run_id,
                 storable_text(received.event.event_type), storable_text(received.event.status_word),
                 std::string(received.body));
    }
    copy.complete();
}

template <class... Values>
pqxx::result ask_in(std::string_view schema, const Statements& work, std::string_view query, const Values&... values) {
    return schema == "runledger" ? ask(work, query, values...) : work.run(text_in(schema, query), values...);
}

// Returns the runs that it has queued for settlement.
ArrayLiteral write_runs(const Statements& work, const std::map<std::string, RunState>& runs, std::string_view schema) {
    std::set<std::string> queued;
    // A statement can touch a row once, so a run's further boots come in statements of their own. Most runs have one.
    for (std::size_t boot = 0;; ++boot) {
        const RunArrays r(runs, boot);
        if (r.run_id.size() == 0) {
            break;
        }
        const bool counts_events = boot == 0;
        const auto changed =
            ask_in(schema, work, queries::apply::upsert_runs, r.run_id.str(), r.not_started_at.str(), r.queued_at.str(),
                   r.started_at.str(), r.uploading_at.str(), r.running.at.str(), r.running.boot.str(),
                   r.running.boottime.str(), r.running.redelivered.str(), r.ending_status.str(), r.ending.at.str(),
                   r.ending.boot.str(), r.ending.boottime.str(), r.ending.redelivered.str(), r.ending.digest.str(),
                   r.ending_progress.str(), r.ending_live_status.str(), r.ending_error.str(), r.latest.at.str(),
                   r.latest.boot.str(), r.latest.boottime.str(), r.latest.redelivered.str(), r.latest.digest.str(),
                   r.latest_status.str(), r.latest_progress.str(), r.latest_live_status.str(),
                   r.first_received_at.str(), r.event_count.str(), counts_events);
        for (const auto& row : changed) {
            queued.insert(row[0].as<std::string>());
        }
    }
    const OtherStatusArrays o(runs);
    if (o.run_id.size() > 0) {
        ask_in(schema, work, queries::apply::upsert_other_statuses, o.run_id.str(), o.status.str(),
               o.received_at.str());
    }
    ArrayLiteral run_ids;
    for (const std::string& run_id : queued) {
        run_ids.add(run_id);
    }
    return run_ids;
}

void write_outputs(const Statements& work, const std::map<std::string, RunState>& runs,
                   const std::map<SegmentId, std::string>& edges, const ArrayLiteral& queued, std::string_view schema) {
    const OutputArrays o(runs, edges);
    if (o.run_id.size() > 0) {
        ask_in(schema, work, queries::apply::upsert_outputs, o.run_id.str(), o.key.str(), o.updated_at.str(),
               o.received_at.str(), o.boot.str(), o.boottime.str(), o.digest.str(), o.position.str(), o.output.str(),
               o.segment.str(), o.batch.str(), o.index.str(), o.edge.str(), queued.str(), o.signed_links.str());
    }
}

void write_together(const Statements& work, std::span<const AcceptedEvent> events, bool with_outputs) {
    if (events.empty()) {
        return;
    }
    std::map<std::string, RunState> runs;
    std::map<SegmentId, std::string> edges;
    for (const AcceptedEvent& accepted : events) {
        merge(runs[accepted.received.event.run_id], state_of(accepted.received, with_outputs));
        edges.try_emplace(accepted.received.name.batch.segment, *accepted.edge);
    }
    write_events(work, events);
    write_states(work, {.runs = runs, .edges = edges});
}

// Whether the error is about the event alone, as far as `mode` goes.
bool is_set_aside(const std::exception& error, ApplyMode mode) {
    switch (classify(error)) {
        case Failure::poison:
            return true;
        case Failure::refused:
            return mode == ApplyMode::set_aside && !passes_by_itself(sqlstate_of(error));
        case Failure::try_again:
            break;
    }
    return false;
}

// Counts in `quarantined`, by batch, what went there. Sorts the events by run: runs are locked in that order. Returns
// how many were stored without their outputs.
std::uint64_t write_one_by_one(const Statements& work, std::vector<AcceptedEvent>& events, ApplyMode mode,
                               std::map<BatchName, std::int64_t>& quarantined) {
    std::uint64_t cut = 0;
    // Deferred constraints and triggers refuse here, where it is known which event they refuse, not at COMMIT.
    work.run("SET CONSTRAINTS ALL IMMEDIATE");
    std::stable_sort(events.begin(), events.end(), [](const AcceptedEvent& a, const AcceptedEvent& b) {
        return a.received.event.run_id < b.received.event.run_id;
    });
    for (const AcceptedEvent& accepted : events) {
        std::string reason;
        bool stored = false;
        // Without its outputs in the second try: what is at fault must not cost the run its ending.
        for (const bool with_outputs : {true, false}) {
            try {
                Savepoint attempt(work);
                write_together(attempt, {&accepted, 1}, with_outputs);
                attempt.release();
                stored = true;
                break;
            } catch (const pqxx::sql_error& error) {
                if (!is_set_aside(error, mode)) {
                    throw;
                }
                reason = fmt::format("refused_by_database: {}: {}", sqlstate_of(error), error.what());
            } catch (const std::exception& error) {
                if (!is_set_aside(error, mode)) {
                    throw;
                }
                reason = fmt::format("failed_in_daemon: {}", error.what());
            }
        }
        if (!stored) {
            write_quarantine(work, quarantine_row(accepted, "event", reason));
            ++quarantined[accepted.received.name.batch];
        } else if (!reason.empty()) {
            write_quarantine(work, quarantine_row(accepted, "output", reason));
            ++cut;
        }
    }
    return cut;
}

}  // namespace

void write_states(const Statements& work, const FoldedRuns& folded, std::string_view schema) {
    const ArrayLiteral queued = write_runs(work, folded.runs, schema);
    write_outputs(work, folded.runs, folded.edges, queued, schema);
}

void write_event_again(const Statements& work, const AcceptedEvent& accepted) {
    write_together(work, {&accepted, 1}, true);
}

void write_outputs_again(const Statements& work, const AcceptedEvent& accepted) {
    const std::map<std::string, RunState> runs{{accepted.received.event.run_id, state_of(accepted.received)}};
    const std::map<SegmentId, std::string> edges{{accepted.received.name.batch.segment, *accepted.edge}};
    write_outputs(work, runs, edges, {}, "runledger");
    const OutputArrays o(runs, edges);
    ask(work, queries::quarantine::fill_outputs, o.run_id.str(), o.key.str(), o.updated_at.str(), o.received_at.str(),
        o.boot.str(), o.boottime.str(), o.digest.str(), o.position.str(), o.output.str());
}

TurnResult write_turn(const Statements& work, std::span<const wire::Batch* const> batches, ApplyMode mode) {
    TurnResult result;
    result.batch_results = enter_batches(work, batches);
    std::vector<AcceptedEvent> events;
    std::vector<QuarantineRow> refused;
    std::map<BatchName, std::int64_t> quarantined;
    std::map<SegmentId, std::string> edges;
    for (std::size_t i = 0; i < batches.size(); ++i) {
        const wire::Batch& batch = *batches[i];
        result.events_applied += result.batch_results[i] == BatchResult::applied ? batch.events.size() : 0;
        const std::string& edge = edges.try_emplace(batch.name.segment, edge_text(batch)).first->second;
        if (result.batch_results[i] == BatchResult::copy) {
            continue;
        }
        if (result.batch_results[i] == BatchResult::conflict) {
            spdlog::error("batch has the name of another one, stored in quarantine batch={}/{} digest={}",
                          batch.name.segment.hex(), batch.name.number, hex(batch.digest));
            std::deque<std::string> bodies;
            wire::Batch kept = batch;
            scrub_batch(work, kept, find_forgotten(work, batch), bodies);
            write_quarantine(work, conflicting_batch_row(kept, edge));
            continue;
        }
        for (std::uint32_t index = 0; index < batch.events.size(); ++index) {
            auto accepted = accept(batch, index, edge);
            if (auto* row = std::get_if<QuarantineRow>(&accepted)) {
                refused.push_back(std::move(*row));
                ++quarantined[batch.name];
            } else {
                events.push_back(std::move(std::get<AcceptedEvent>(accepted)));
            }
        }
    }
    const LateEvents late = set_apart_late_events(work, events, refused);
    for (const QuarantineRow& row : refused) {
        write_quarantine(work, row);
    }
    for (const QuarantineRow& row : late.removed) {
        write_quarantine(work, row);
        ++quarantined[row.name.batch];
    }
    switch (mode) {
        case ApplyMode::together:
            write_together(work, events, true);
            break;
        case ApplyMode::one_by_one:
        case ApplyMode::set_aside:
            result.events_cut = write_one_by_one(work, events, mode, quarantined);
            break;
    }
    count_quarantined(work, quarantined);
    for (const auto& [name, count] : quarantined) {
        result.events_quarantined += static_cast<std::uint64_t>(count);
    }
    result.events_applied -= result.events_quarantined;
    return result;
}

bool write_retirement(const Statements& work, const wire::Retire& retire) {
    const std::string segment = retire.segment.hex();
    if (ask(work, queries::retire::segment, segment, retire.batch_count).empty()) {
        return false;
    }
    ask(work, queries::retire::forget_batches, segment);
    return true;
}

std::string timestamp_text(WallTime time) {
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date{day};
    const std::chrono::hh_mm_ss clock{time - day};
    return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:06}+00", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                       clock.minutes().count(), clock.seconds().count(), clock.subseconds().count());
}

}  // namespace runledger
