-- What was set aside can be put through apply again; its row then says so, and stays.
ALTER TABLE runledger.quarantine
    ADD COLUMN redelivered boolean,
    ADD COLUMN resolved_at timestamptz,
    ADD COLUMN resolution text,
    ADD CONSTRAINT quarantine_resolution_iff_resolved CHECK ((resolved_at IS NULL) = (resolution IS NULL));
COMMENT ON COLUMN runledger.quarantine.redelivered IS
    'True: the event came as GET, the sender''s second or third try; NULL: a batch or an output, or set aside before this was kept.';
COMMENT ON COLUMN runledger.quarantine.resolved_at IS
    'When `runledger quarantine replay` stored it where it belongs; NULL: it is set aside still.';
COMMENT ON COLUMN runledger.quarantine.resolution IS 'What became of it then, a sentence for people; NULL: it is set aside still.';
COMMENT ON COLUMN runledger.quarantine.content IS
    'The bytes that were set aside: a batch''s frame (docs/wire-format.md), an event''s body, or an output.';
CREATE INDEX quarantine_open_idx ON runledger.quarantine (id) WHERE resolved_at IS NULL;
COMMENT ON INDEX runledger.quarantine_open_idx IS 'For "what is set aside still?"';

CREATE OR REPLACE VIEW runledger.ledger_balance_v1 AS
SELECT
    (SELECT count(*) FROM runledger.webhook_events) AS events,
    (SELECT count(*) FROM runledger.quarantine WHERE scope = 'event' AND resolved_at IS NULL) AS quarantined_events,
    (SELECT count(*) FROM runledger.quarantine WHERE scope = 'batch' AND resolved_at IS NULL) AS conflicting_batches,
    (SELECT coalesce(sum(event_count), 0) FROM runledger.ingested_batches) AS events_of_open_segments,
    (SELECT coalesce(sum(event_count), 0) FROM runledger.runs) AS events_counted_in_runs;
