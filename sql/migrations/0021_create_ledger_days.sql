-- The books: what was received, by segment and day. They outlive the rows that they count.
CREATE TABLE runledger.ledger_days (
    segment_id uuid NOT NULL,
    day date NOT NULL,
    edge text NOT NULL,
    batches bigint NOT NULL,
    stored bigint NOT NULL,
    applied bigint NOT NULL,
    duplicate bigint NOT NULL,
    quarantined bigint NOT NULL,
    CONSTRAINT ledger_days_pkey PRIMARY KEY (segment_id, day),
    CONSTRAINT ledger_days_add_up CHECK (stored = applied + duplicate + quarantined),
    CONSTRAINT ledger_days_counts_are_not_negative
        CHECK (batches >= 0 AND applied >= 0 AND duplicate >= 0 AND quarantined >= 0)
);
COMMENT ON TABLE runledger.ledger_days IS
    'What retired segments brought, by day: entered when a segment is retired, from its rows in ingested_batches; and what came under the name of a batch that was there already, as it comes. Written by apply, never deleted. Read it through ledger_days_v1, which has the open segments, too.';
COMMENT ON COLUMN runledger.ledger_days.segment_id IS 'The segment; no foreign key, since the books outlive its tombstone.';
COMMENT ON COLUMN runledger.ledger_days.day IS
    'The UTC day of the transaction that applied the batch. Copies of it count on the same day, unless they came after the segment was retired.';
COMMENT ON COLUMN runledger.ledger_days.edge IS 'The nginx host whose segment it was.';
COMMENT ON COLUMN runledger.ledger_days.batches IS 'Batches that were applied.';
COMMENT ON COLUMN runledger.ledger_days.stored IS
    'Events of all batches that came from the edge''s spool, a batch counted each time it came: applied + duplicate + quarantined.';
COMMENT ON COLUMN runledger.ledger_days.applied IS 'Of these, events with a row in webhook_events.';
COMMENT ON COLUMN runledger.ledger_days.duplicate IS 'Of these, events of copies of batches: they took no effect.';
COMMENT ON COLUMN runledger.ledger_days.quarantined IS
    'Of these, events that are in quarantine instead, alone or with their whole batch.';

-- Segments that were retired before there were books. How many copies of their batches came is not known any more.
INSERT INTO runledger.ledger_days (segment_id, day, edge, batches, stored, applied, duplicate, quarantined)
SELECT segment_id, day, min(edge), count(DISTINCT batch_number) FILTER (WHERE is_batch_known),
       sum(applied + quarantined), sum(applied), 0, sum(quarantined)
FROM (
    SELECT segment_id, (applied_at AT TIME ZONE 'UTC')::date AS day, edge, batch_number, true AS is_batch_known,
           1 AS applied, 0 AS quarantined
    FROM runledger.webhook_events
    UNION ALL
    SELECT segment_id, (quarantined_at AT TIME ZONE 'UTC')::date, edge, batch_number, scope = 'event', 0, runledger.events_set_aside(q)
    FROM runledger.quarantine AS q WHERE scope <> 'output') AS event
WHERE EXISTS (SELECT FROM runledger.spool_segments AS s WHERE s.segment_id = event.segment_id AND s.retired_at IS NOT NULL)
GROUP BY segment_id, day;
-- A conflicting batch of an open segment is counted as it comes.
INSERT INTO runledger.ledger_days (segment_id, day, edge, batches, stored, applied, duplicate, quarantined)
SELECT q.segment_id, (q.quarantined_at AT TIME ZONE 'UTC')::date, min(s.edge), 0, sum(runledger.events_set_aside(q)), 0, 0,
       sum(runledger.events_set_aside(q))
FROM runledger.quarantine AS q JOIN runledger.spool_segments AS s USING (segment_id)
WHERE q.scope = 'batch' AND s.retired_at IS NULL
GROUP BY 1, 2;

CREATE VIEW runledger.ledger_days_v1 AS
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
