#include "daemon/tool/quarantine/replay.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <span>
#include <variant>
#include <vector>

#include "daemon/ingest/late_events.hpp"
#include "daemon/ingest/turn_rows.hpp"
#include "daemon/ingest/write_turn.hpp"
#include "queries/apply.hpp"
#include "queries/quarantine.hpp"

namespace runledger::tool {
namespace {

template <class Value>
std::optional<Value> value_of(const pqxx::field& field) {
    return field.is_null() ? std::nullopt : std::optional(field.as<Value>());
}

std::string first_line(std::string_view text) { return std::string(text.substr(0, text.find('\n'))); }

BatchName batch_of(const QuarantinedRow& row) {
    return {SegmentId::parse(row.segment).value(), static_cast<std::uint64_t>(row.batch_number)};
}

void resolve(const Statements& work, std::int64_t id, const std::string& resolution) {
    work.run(queries::quarantine::resolve, id, resolution);
}

// The outputs that this transaction has set aside anew, in storing an event's outputs again. What was set aside before
// has its row already, so the new ones go; unless the event had been set aside whole.
std::optional<std::string> drop_set_aside_anew(const Statements& work, const QuarantinedRow& row, bool keep_all) {
    std::optional<std::string> same;
    for (const auto& anew :
         work.run(queries::quarantine::set_aside_anew, row.segment, row.batch_number, row.event_index.value())) {
        if (!anew["is_resolved"].as<bool>() && bytes_of_hex(anew["content"].as<std::string>()) == row.content) {
            same = anew["reason"].as<std::string>();
        }
        if (!keep_all) {
            work.run(queries::quarantine::drop, anew["id"].as<std::int64_t>());
        }
    }
    return same;
}

Replayed refused(std::string_view why) { return {ReplayResult::still_refused, first_line(why)}; }

// The books keep saying that it was set aside first; this says that it stands in webhook_events, too.
void note_replayed(const Statements& work, const QuarantinedRow& row) {
    work.run("SELECT runledger.note_replayed_event($1::uuid, $2::bigint, $3::integer)", row.segment, row.batch_number,
             row.event_index.value());
}

bool holds_event(const Statements& work, const QuarantinedRow& row) {
    return !work.run(queries::quarantine::find_event, row.segment, row.batch_number, row.event_index.value()).empty();
}

Replayed replay_event(const Statements& work, const QuarantinedRow& row) {
    if (holds_event(work, row)) {
        resolve(work, row.id, "the ledger has the event already");
        return {ReplayResult::known, "the ledger has the event already"};
    }
    if (!row.received_us || !row.boot || !row.boottime_us) {
        return refused("its receive time can't be stored: " + row.reason);
    }
    const StoredEvent stored{.event = {.stamp = {.received_at = WallTime{std::chrono::microseconds{*row.received_us}},
                                                 .boottime = BootTime{std::chrono::microseconds{*row.boottime_us}}},
                                       .flags = row.redelivered ? std::uint32_t{wire::redelivered} : 0U,
                                       .body = row.content},
                             .boot = BootId::parse(*row.boot).value(),
                             .name = {batch_of(row), *row.event_index}};
    auto accepted = accept(stored, row.edge);
    if (const auto* set_aside = std::get_if<QuarantineRow>(&accepted)) {
        return refused(set_aside->reason);
    }
    // As apply would: its run may have been forgotten or removed since.
    std::vector<AcceptedEvent> event{std::get<AcceptedEvent>(std::move(accepted))};
    std::vector<QuarantineRow> none;
    const LateEvents late = set_apart_late_events(work, event, none);
    if (!late.removed.empty()) {
        return refused(late.removed.front().reason);
    }
    write_event_again(work, event.front());
    note_replayed(work, row);
    resolve(work, row.id, "stored as an event");
    return {ReplayResult::stored, "stored as an event"};
}

// An output is part of an event that the ledger holds: its outputs are merged anew from that.
Replayed replay_output(const Statements& work, const QuarantinedRow& row) {
    const auto rows = work.run(queries::quarantine::find_event, row.segment, row.batch_number, row.event_index.value());
    if (rows.empty()) {
        return refused("the event that it belongs to is no longer in webhook_events");
    }
    const auto body = rows[0]["body"].as<std::string>();
    const StoredEvent stored{
        .event = {.stamp = {.received_at =
                                WallTime{std::chrono::microseconds{rows[0]["received_us"].as<std::int64_t>()}},
                            .boottime = BootTime{std::chrono::microseconds{rows[0]["boottime_us"].as<std::int64_t>()}}},
                  .flags = rows[0]["redelivered"].as<bool>() ? std::uint32_t{wire::redelivered} : 0U,
                  .body = body},
        .boot = BootId::parse(rows[0]["boot"].as<std::string>()).value(),
        .name = {batch_of(row), *row.event_index}};
    const auto accepted = accept(stored, row.edge);
    if (const auto* set_aside = std::get_if<QuarantineRow>(&accepted)) {
        return refused(set_aside->reason);
    }
    const auto& event = std::get<AcceptedEvent>(accepted);
    write_outputs_again(work, event);
    if (const auto reason = drop_set_aside_anew(work, row, row.content == body)) {
        return refused(*reason);
    }
    resolve(work, row.id, "its event's outputs are stored");
    return {ReplayResult::stored, "its event's outputs are stored"};
}

// The name of a batch whose own is taken: its digest for a segment, so that whoever replays it makes the same.
wire::Batch renamed(wire::Batch batch) {
    std::copy(batch.digest.begin(), batch.digest.end(), batch.name.segment.bytes.begin());
    return batch;
}

// Of the batches of a retired segment only their number is known: one that was set aside because its bytes are others
// would be taken for a copy.
bool is_of_a_retired_segment(const Statements& work, const wire::Batch& batch) {
    ArrayLiteral segment;
    segment.add(batch.name.segment.hex());
    const auto rows = work.run(queries::apply::lock_segments, segment.str());
    return !rows.empty() && !rows[0]["batch_count"].is_null();
}

std::optional<Replayed> apply_batch(const Statements& work, const QuarantinedRow& row, const wire::Batch& batch,
                                    ApplyMode mode) {
    const wire::Batch* view = &batch;
    const TurnResult turn = write_turn(work, {&view, 1}, mode);
    const std::string name = fmt::format("{}/{}", batch.name.segment.hex(), batch.name.number);
    switch (turn.batch_results.front()) {
        case BatchResult::applied: {
            const std::string sentence = fmt::format("applied as {}: {} events, {} of them quarantined", name,
                                                     batch.events.size(), turn.events_quarantined);
            resolve(work, row.id, sentence);
            return Replayed{ReplayResult::stored, sentence};
        }
        case BatchResult::copy:
            resolve(work, row.id, "the ledger has the batch already, as " + name);
            return Replayed{ReplayResult::known, "the ledger has the batch already, as " + name};
        case BatchResult::conflict:
            break;
    }
    return std::nullopt;
}

// Runs `step` in a transaction that holds the row; what it returns is committed if it changed anything.
template <class Step>
Replayed in_transaction(Database& database, std::int64_t id, Step step) {
    Transaction work(database, {});
    const auto row = find_quarantined(work, id);
    if (!row) {
        return {ReplayResult::not_there, "there is no such row"};
    }
    if (row->resolved_at) {
        return {ReplayResult::resolved,
                fmt::format("resolved at {}: {}", *row->resolved_at, row->resolution.value_or(""))};
    }
    try {
        Replayed replayed = step(work, *row);
        if (replayed.result == ReplayResult::stored || replayed.result == ReplayResult::known) {
            database.commit(work);
        }
        return replayed;
    } catch (const pqxx::sql_error& error) {
        if (classify(error) == Failure::try_again) {
            throw;
        }
        return refused(fmt::format("refused_by_database: {}: {}", sqlstate_of(error), error.what()));
    }
}

Replayed replay_batch(Database& database, std::int64_t id) {
    Replayed last;
    for (const bool under_its_own_name : {true, false}) {
        for (const ApplyMode mode : {ApplyMode::together, ApplyMode::one_by_one}) {
            last = in_transaction(database, id, [&](const Statements& work, const QuarantinedRow& row) {
                const auto frame = std::as_bytes(std::span(row.content));
                const auto decoded = wire::decode_batch(frame);
                if (std::holds_alternative<wire::Damage>(decoded)) {
                    return refused("its content is not a batch's frame: an older build stored it");
                }
                const auto& batch = std::get<wire::Batch>(decoded);
                if (under_its_own_name && is_of_a_retired_segment(work, batch)) {
                    return refused("its segment is retired");
                }
                const auto applied = apply_batch(work, row, under_its_own_name ? batch : renamed(batch), mode);
                return applied.value_or(refused("another batch has its name"));
            });
            if (last.result != ReplayResult::still_refused) {
                return last;
            }
        }
    }
    return last;
}

}  // namespace

std::optional<QuarantinedRow> find_quarantined(const Statements& work, std::int64_t id) {
    const auto rows = work.run(queries::quarantine::get, id);
    if (rows.empty()) {
        return std::nullopt;
    }
    const pqxx::row row = rows[0];
    return QuarantinedRow{.id = id,
                          .quarantined_at = row["quarantined_at"].as<std::string>(),
                          .scope = row["scope"].as<std::string>(),
                          .reason = row["reason"].as<std::string>(),
                          .segment = row["segment"].as<std::string>(),
                          .batch_number = row["batch_number"].as<std::int64_t>(),
                          .event_index = value_of<std::uint32_t>(row["event_index"]),
                          .edge = row["edge"].as<std::string>(),
                          .received_text = value_of<std::string>(row["received_text"]),
                          .received_us = value_of<std::int64_t>(row["received_us"]),
                          .boot = value_of<std::string>(row["boot"]),
                          .boottime_us = value_of<std::int64_t>(row["boottime_us"]),
                          .redelivered = row["redelivered"].as<bool>(),
                          .run_id = value_of<std::string>(row["run_id"]),
                          .content = bytes_of_hex(row["content"].as<std::string>()),
                          .resolved_at = value_of<std::string>(row["resolved_at"]),
                          .resolution = value_of<std::string>(row["resolution"])};
}

Replayed replay_quarantined(Database& database, std::int64_t id) {
    std::string scope;
    Replayed replayed = in_transaction(database, id, [&](const Statements& work, const QuarantinedRow& row) {
        scope = row.scope;
        if (scope == "event") {
            return replay_event(work, row);
        }
        return scope == "output" ? replay_output(work, row) : refused("a batch");
    });
    // A batch's attempts are transactions of their own: a name that is taken undoes the first.
    return scope == "batch" ? replay_batch(database, id) : replayed;
}

}  // namespace runledger::tool
