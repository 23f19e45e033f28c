-- What readers query. Columns are only ever appended; a changed meaning is a new view, _v2.
CREATE VIEW runledger.run_costs_v1 AS
SELECT g.id AS generation_id, g.run_id, g.status, g.request_timestamp, g.response_timestamp, g.duration_ms,
       g.cost_usd, g.cost_note, s.rate_amount, s.rate_unit, s.duration_clock, s.running_at, s.finished_at
FROM runledger.generations AS g
LEFT JOIN LATERAL (
    SELECT * FROM runledger.settlements AS audit
    WHERE audit.generation_id = g.id AND audit.outcome <> 'edited_by_hand'
    ORDER BY audit.id DESC LIMIT 1) AS s ON true;
COMMENT ON VIEW runledger.run_costs_v1 IS
    'Cost of each generation, with the rate, the instants and the clock that it was computed from. Times are UTC instants; cost in US dollars.';

CREATE VIEW runledger.runs_without_generation_v1 AS
SELECT r.run_id, r.status, r.first_received_at, r.latest_at, r.finished_at, r.event_count
FROM runledger.runs AS r
WHERE NOT EXISTS (SELECT FROM runledger.generations AS g WHERE g.run_id = r.run_id);
COMMENT ON VIEW runledger.runs_without_generation_v1 IS
    'Runs whose record the application has not made (yet), or whose run_id it never stored: they wait, and nobody is told.';

CREATE VIEW runledger.unpriced_generations_v1 AS
SELECT g.id AS generation_id, g.run_id, g.status, g.cost_note, g.response_timestamp
FROM runledger.generations AS g
WHERE g.cost_usd IS NULL AND g.response_timestamp IS NOT NULL;
COMMENT ON VIEW runledger.unpriced_generations_v1 IS 'Ended generations without a cost, and why.';

CREATE VIEW runledger.unsettled_v1 AS
SELECT q.run_id, min(q.queued_at) AS queued_at, min(q.due_at) AS due_at, max(q.attempts) AS attempts,
       max(q.last_error) AS last_error
FROM runledger.settle_queue AS q
GROUP BY q.run_id;
COMMENT ON VIEW runledger.unsettled_v1 IS 'Runs that wait to be settled, with the last error where one was met.';

CREATE VIEW runledger.failed_notifications_v1 AS
SELECT n.id AS notification_id, n.generation_id, n.run_id, n.kind, n.chat_id, n.state, n.attempts, n.last_error,
       n.created_at
FROM runledger.notifications AS n
WHERE n.state IN ('uncertain', 'dead', 'skipped');
COMMENT ON VIEW runledger.failed_notifications_v1 IS 'Messages that did not, or may not have, reached anybody, and why.';

CREATE VIEW runledger.ledger_balance_v1 AS
SELECT
    (SELECT count(*) FROM runledger.webhook_events) AS events,
    (SELECT count(*) FROM runledger.quarantine WHERE scope = 'event') AS quarantined_events,
    (SELECT count(*) FROM runledger.quarantine WHERE scope = 'batch') AS conflicting_batches,
    (SELECT coalesce(sum(event_count), 0) FROM runledger.ingested_batches) AS events_of_open_segments,
    (SELECT coalesce(sum(event_count), 0) FROM runledger.runs) AS events_counted_in_runs;
COMMENT ON VIEW runledger.ledger_balance_v1 IS
    'Whether the books agree: events equals events_counted_in_runs at any moment; each event that an edge stored is in events or quarantined_events.';
