-- $1 uuid segment. A statement of its own, behind the tombstone: it sees whatever was committed before that. What the
-- batches' rows have counted goes into the books.
WITH forgotten AS (
    DELETE FROM runledger.ingested_batches WHERE segment_id = $1::uuid
    RETURNING segment_id, applied_at, event_count, copies, quarantined_count
)
INSERT INTO runledger.ledger_days AS books (segment_id, day, edge, batches, stored, applied, duplicate, quarantined)
SELECT f.segment_id, (f.applied_at AT TIME ZONE 'UTC')::date, min(s.edge), count(*), sum(f.event_count * (1 + f.copies)),
       sum(f.event_count - f.quarantined_count), sum(f.event_count * f.copies), sum(f.quarantined_count)
FROM forgotten AS f JOIN runledger.spool_segments AS s USING (segment_id)
GROUP BY 1, 2
ORDER BY 1, 2
ON CONFLICT (segment_id, day) DO UPDATE SET
    batches = books.batches + EXCLUDED.batches,
    stored = books.stored + EXCLUDED.stored,
    applied = books.applied + EXCLUDED.applied,
    duplicate = books.duplicate + EXCLUDED.duplicate,
    quarantined = books.quarantined + EXCLUDED.quarantined
