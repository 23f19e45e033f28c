// What the product's tables hold, in the words of the model's rows.
#include <fmt/format.h>

#include "daemon/database/database.hpp"
#include "tests/property/ledger/product.hpp"

namespace runledger::test::whole_ledger {
namespace {

// Microseconds after epoch_us; `told` where it is the database's own clock.
std::string instant(std::string_view column) {
    return fmt::format(
        "CASE WHEN (extract(epoch FROM {0}) * 1000000)::bigint - {1} > 10000000000000 THEN 'told' ELSE "
        "((extract(epoch FROM {0}) * 1000000)::bigint - {1})::text END",
        column, epoch_us);
}

std::string moment(std::string_view of) {
    return fmt::format(
        "CASE WHEN {0}_at IS NOT NULL THEN format('%s %s %s %s', {1}, CASE left({0}_boot_id::text, 2) WHEN "
        "'01' THEN 0 WHEN '80' THEN 1 ELSE 2 END, {0}_boottime_us, CASE WHEN {0}_redelivered THEN 'again' "
        "ELSE 'first' END) END",
        of, instant(fmt::format("{}_at", of)));
}

std::string outputs_in(std::string_view payload) {
    return fmt::format(
        "(SELECT string_agg(format('%s:%s', o ->> 'id', o ->> 'version'), ',' ORDER BY place) FROM "
        "jsonb_array_elements({} -> 'outputs') WITH ORDINALITY AS outputs (o, place))",
        payload);
}

std::string query() {
    return fmt::format(
        R"(
SELECT 'run ' || run_id, format(
    'queued %s | running %s | ended %s %s | latest %s | first %s | %s events | reported %s | [%s]',
    {queued}, {running}, CASE WHEN finished_at IS NOT NULL THEN terminal_status END, {finished}, latest_status, {first},
    event_count,
    CASE WHEN reported_at IS NOT NULL THEN format('%s %s %s', reported_status, {started}, {ended}) END,
    (SELECT string_agg(format('%s:%s', o.output_key, o.output ->> 'version'), ',' ORDER BY o.output_key)
     FROM runledger.run_outputs AS o WHERE o.run_id = r.run_id))
FROM runledger.runs AS r
UNION ALL
SELECT 'row ' || id, format('%s | %s %s | %s ms | %s USD %s | at %s | %s', run_id, status, status_reason,
    trim_scale(duration_ms), trim_scale(cost_usd), cost_note, {response},
    CASE WHEN response_payload IS NOT NULL THEN '[' || coalesce({outputs}, '') || ']' END)
FROM runledger.generations
UNION ALL
SELECT 'settlements ' || generation_id, string_agg(format(
    E'\n        %s %s %s %s | %s us %s %s | %s %s %s %s %s | %s %s | at %s | %s outputs', outcome, run_id, status,
    status_reason, duration_us, duration_clock, duration_note, gpu, trim_scale(rate_amount), rate_unit, token_count, rate_source,
    trim_scale(cost_usd), cost_note, {settled}, output_count), '' ORDER BY id)
FROM runledger.settlements GROUP BY generation_id
UNION ALL
SELECT format('notification %s %s %s %s %s %s', generation_id, run_id, kind, for_status, recipient, row_number() OVER (
    PARTITION BY generation_id, run_id, kind, for_status, recipient ORDER BY id)), format(
    '%s %s | %s %s %s %s %s [%s]', state, chat_id, payload ->> 'status', coalesce(payload ->> 'status_reason', '-'),
    coalesce(trim_scale((payload ->> 'duration_ms')::numeric)::text, '-'),
    coalesce(trim_scale((payload ->> 'cost_usd')::numeric)::text, '-'), coalesce(payload ->> 'cost_note', '-'), {told})
FROM runledger.notifications
UNION ALL
SELECT DISTINCT 'queued ' || run_id, '' FROM runledger.settle_queue
UNION ALL
SELECT 'group ' || group_key, format('%s members | told %s times | %s', members, told_count,
                                     CASE WHEN told_at IS NULL THEN 'open' ELSE 'ended' END)
FROM runledger.generation_groups
UNION ALL
SELECT 'a group that nobody looks at: ' || group_key, id::text FROM runledger.group_queue
UNION ALL
SELECT 'a group that is told of as it is not: ' || group_id, format('%s, told at %s', all_ended, told_at)
FROM runledger.group_costs_v1 WHERE all_ended <> (told_at IS NOT NULL)
UNION ALL
SELECT 'events', count(*)::text FROM runledger.webhook_events
UNION ALL
-- What no row may ever say, whatever the model does.
SELECT 'the cost of a run in two rows: ' || last.run_id, string_agg(g.id::text, ', ')
FROM runledger.generations AS g, runledger.last_settlement(g.id) AS last
WHERE g.cost_usd IS NOT NULL AND NOT runledger.is_edited_by_hand(g, last)
GROUP BY last.run_id HAVING count(*) > 1
UNION ALL
SELECT 'a cost that is unknown without a note: ' || id, cost_usd::text
FROM runledger.generations
WHERE response_timestamp IS NOT NULL AND cost_usd IS NULL AND cost_note IS NULL
UNION ALL
SELECT 'a settlement that does not say what stood before: ' || s.id, s.before::text
FROM runledger.settlements AS s
JOIN LATERAL (
    SELECT * FROM runledger.settlements AS earlier
    WHERE earlier.generation_id = s.generation_id AND earlier.id < s.id ORDER BY earlier.id DESC LIMIT 1) AS last ON true
WHERE s.outcome <> 'edited_by_hand' AND last.outcome NOT IN ('edited_by_hand', 'reopened')
  AND ((s.before ->> 'cost_usd')::numeric, s.before ->> 'cost_note', (s.before ->> 'duration_ms')::numeric)
      IS DISTINCT FROM (last.cost_usd, last.cost_note, round(last.duration_us / 1000.0, 3))
  AND s.before ->> 'status' NOT IN ('pending', 'processing')
UNION ALL
SELECT 'forgotten, and found in ' || found.place, found.run_id
FROM unnest($1::text[]) AS gone (run_id), LATERAL (
    SELECT 'webhook_events', e.run_id FROM runledger.webhook_events AS e
    WHERE e.run_id = gone.run_id OR position('"' || gone.run_id || '"' IN e.body) > 0
    UNION ALL SELECT 'runs', r.run_id FROM runledger.runs AS r WHERE r.run_id = gone.run_id
    UNION ALL SELECT 'run_outputs', o.run_id FROM runledger.run_outputs AS o WHERE o.run_id = gone.run_id
    UNION ALL SELECT 'notifications', n.run_id FROM runledger.notifications AS n WHERE n.run_id = gone.run_id
    UNION ALL SELECT 'provider_reports', p.run_id FROM runledger.provider_reports AS p WHERE p.run_id = gone.run_id
    UNION ALL SELECT 'quarantine', q.run_id FROM runledger.quarantine AS q WHERE q.run_id = gone.run_id
    UNION ALL SELECT 'settlements', s.run_id FROM runledger.settlements AS s
    WHERE s.run_id = gone.run_id OR position(gone.run_id IN s.why) > 0
    UNION ALL SELECT 'reconcile_lookups', l.run_id FROM runledger.reconcile_lookups AS l WHERE l.run_id = gone.run_id
    UNION ALL SELECT 'settle_queue', q.run_id FROM runledger.settle_queue AS q WHERE q.run_id = gone.run_id
    UNION ALL SELECT 'generations', g.id::text FROM runledger.generations AS g
    WHERE position('"' || gone.run_id || '"' IN g.metadata::text) > 0
) AS found (place, run_id)
)",
        fmt::arg("queued", instant("queued_at")), fmt::arg("running", moment("running")),
        fmt::arg("finished", moment("finished")), fmt::arg("first", instant("first_received_at")),
        fmt::arg("started", instant("provider_started_at")), fmt::arg("ended", instant("provider_ended_at")),
        fmt::arg("response", instant("response_timestamp")), fmt::arg("outputs", outputs_in("response_payload")),
        fmt::arg("settled", instant("finished_at")), fmt::arg("told", outputs_in("payload")));
}

constexpr const char* books_query = R"(
SELECT 'books of ' || name, format(
    '%s batches | %s = %s applied + %s duplicate + %s quarantined', sum(batches), sum(stored), sum(applied),
    sum(duplicate), sum(quarantined))
FROM runledger.ledger_days_v1, LATERAL (
    SELECT CASE WHEN replace(segment_id::text, '-', '') = repeat(left(segment_id::text, 2), 16)
           THEN 'segment ' || ('x' || left(segment_id::text, 2))::bit(8)::integer ELSE 'what was replayed' END
) AS named (name) GROUP BY name
UNION ALL
SELECT 'balance', format('%s events, %s in runs | %s and %s batches aside', events, events_counted_in_runs,
                         quarantined_events, conflicting_batches)
FROM runledger.ledger_balance_v1
)";

constexpr const char* months_query = R"(
SELECT 'month ' || period, format('%s runs | %s priced | %s us | %s USD', runs, priced,
                                  trim_scale(coalesce(duration_ms, 0) * 1000), trim_scale(coalesce(cost_usd, 0)))
FROM runledger.closed_periods_v1
UNION ALL
SELECT 'month ' || p.period || ' as of its closing',
       format('%s runs | %s priced | %s us | %s USD', s.runs, s.priced, trim_scale(coalesce(s.duration_ms, 0) * 1000),
              trim_scale(coalesce(s.restated_usd, 0)))
FROM runledger.closed_periods_v1 AS p CROSS JOIN LATERAL runledger.statement(p.period, p.closed_at) AS s
UNION ALL
SELECT 'month ' || period || ' with its corrections', format(
    '%s runs | %s priced | %s us | %s USD', runs_closed + runs_corrected, priced_closed + priced_corrected,
    trim_scale((duration_ms_closed + duration_ms_corrected) * 1000), trim_scale(cost_usd_closed + cost_usd_corrected))
FROM runledger.period_balance_v1
UNION ALL
SELECT 'a month that does not add up: ' || period, b::text FROM runledger.period_balance_v1 AS b WHERE NOT agrees
UNION ALL
SELECT 'a line without a run: ' || settlement_id, period FROM runledger.closed_runs_v1 WHERE run_id IS NULL
UNION ALL
SELECT 'a correction without a run: ' || correction_id, period FROM runledger.corrections_v1 WHERE run_id IS NULL
)";

}  // namespace

Rows Product::rows(const std::set<std::string>& forgotten) {
    static const std::string tables = query();
    ArrayLiteral gone;
    for (const std::string& run : forgotten) {
        gone.add(run);
    }
    Rows rows;
    for (const auto& row : execute(dba_, tables, gone.str())) {
        rows.emplace(row[0].as<std::string>(), row[1].c_str());
    }
    for (const char* query : {books_query, months_query}) {
        for (const auto& row : execute(reader_, query)) {
            rows.emplace(row[0].as<std::string>(), row[1].c_str());
        }
    }
    return rows;
}

}  // namespace runledger::test::whole_ledger
