-- From the books, which have a row for each segment and day, instead of by counting every event there is: so it also
-- holds when days of webhook_events were dropped.
CREATE OR REPLACE VIEW runledger.ledger_balance_v1 AS
SELECT
    (SELECT (coalesce(sum(applied), 0) + (SELECT count(*) FROM runledger.ledger_replays))::bigint
     FROM runledger.ledger_days_v1) AS events,
    (SELECT count(*) FROM runledger.quarantine WHERE scope = 'event' AND resolved_at IS NULL) AS quarantined_events,
    (SELECT count(*) FROM runledger.quarantine WHERE scope = 'batch' AND resolved_at IS NULL) AS conflicting_batches,
    (SELECT coalesce(sum(event_count), 0) FROM runledger.ingested_batches) AS events_of_open_segments,
    (SELECT coalesce(sum(event_count), 0) FROM runledger.runs)
        + (SELECT coalesce(sum(events), 0) FROM runledger.ledger_removals WHERE from_table = 'runs')
        AS events_counted_in_runs;
COMMENT ON VIEW runledger.ledger_balance_v1 IS
    'Whether the books agree: events equals events_counted_in_runs at any moment. PostgreSQL computes only the selected columns: events_counted_in_runs reads all runs, the others read little. `runledger audit` compares more, segment by segment.';
COMMENT ON COLUMN runledger.ledger_balance_v1.events IS
    'All events that were ever applied, by the books, including those whose rows retention has dropped.';
COMMENT ON COLUMN runledger.ledger_balance_v1.quarantined_events IS 'Events that could not be stored, kept in quarantine.';
COMMENT ON COLUMN runledger.ledger_balance_v1.conflicting_batches IS
    'Batches whose name another batch with other bytes has, kept in quarantine: 0 unless something is very wrong.';
COMMENT ON COLUMN runledger.ledger_balance_v1.events_of_open_segments IS
    'Events of the batches of segments that their edge still keeps.';
COMMENT ON COLUMN runledger.ledger_balance_v1.events_counted_in_runs IS
    'The sum of the runs'' event_count, including that of deleted runs: equal to events.';
