CREATE OR REPLACE VIEW runledger.ledger_days_v1 AS
SELECT segment_id, day, min(edge) AS edge, sum(batches)::bigint AS batches, sum(stored)::bigint AS stored,
       sum(applied)::bigint AS applied, sum(duplicate)::bigint AS duplicate, sum(quarantined)::bigint AS quarantined
FROM (
    SELECT segment_id, day, edge, batches, stored, applied, duplicate, quarantined FROM runledger.ledger_days
    UNION ALL
    SELECT b.segment_id, (b.applied_at AT TIME ZONE 'UTC')::date, s.edge, 1, b.event_count * (1 + b.copies),
           b.event_count - b.quarantined_count, b.event_count * b.copies, b.quarantined_count
    FROM runledger.ingested_batches AS b JOIN runledger.spool_segments AS s USING (segment_id)) AS entry
GROUP BY segment_id, day;
COMMENT ON VIEW runledger.ledger_days_v1 IS
    'The books: for each segment and UTC day, stored = applied + duplicate + quarantined events, of open and of retired segments. They stay when partitions of webhook_events are dropped. `runledger audit` compares them with the rows.';
COMMENT ON COLUMN runledger.ledger_days_v1.segment_id IS 'The spool''s segment.';
COMMENT ON COLUMN runledger.ledger_days_v1.day IS 'The UTC day on which its batches were applied.';
COMMENT ON COLUMN runledger.ledger_days_v1.edge IS 'The nginx host whose segment it is.';
COMMENT ON COLUMN runledger.ledger_days_v1.batches IS 'Batches that were applied.';
COMMENT ON COLUMN runledger.ledger_days_v1.stored IS 'Events of all batches that came; a batch counts each time it came: applied + duplicate + quarantined.';
COMMENT ON COLUMN runledger.ledger_days_v1.applied IS 'Of these, events that took effect.';
COMMENT ON COLUMN runledger.ledger_days_v1.duplicate IS 'Of these, events of copies of batches: they took no effect.';
COMMENT ON COLUMN runledger.ledger_days_v1.quarantined IS 'Of these, events in quarantine.';
