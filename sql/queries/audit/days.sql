-- $1 date or NULL: since when. The books beside the existing rows: an entry for each segment and UTC day that either
-- side has. Day partitions that were dropped took their rows with them: an entry is `dropped` if it has no rows, is
-- older than the oldest day partition, and none was removed by DELETE.
WITH books AS (
    SELECT * FROM runledger.ledger_days_v1 WHERE day >= coalesce($1::date, '-infinity')
),
event_rows AS (
    SELECT segment_id, (applied_at AT TIME ZONE 'UTC')::date AS day, min(edge) AS edge, count(*) AS events
    FROM runledger.webhook_events
    WHERE applied_at >= coalesce($1::date, '-infinity')::timestamp AT TIME ZONE 'UTC'
    GROUP BY 1, 2
),
set_aside AS (
    SELECT q.segment_id, (q.quarantined_at AT TIME ZONE 'UTC')::date AS day, min(q.edge) AS edge,
           sum(runledger.events_set_aside(q)) AS events
    FROM runledger.quarantine AS q
    WHERE q.scope <> 'output' AND q.quarantined_at >= coalesce($1::date, '-infinity')::timestamp AT TIME ZONE 'UTC'
    GROUP BY 1, 2
),
removed AS (
    SELECT segment_id, day,
           coalesce(sum(events) FILTER (WHERE from_table = 'webhook_events'), 0) AS events,
           coalesce(sum(events) FILTER (WHERE from_table = 'quarantine'), 0) AS set_aside,
           coalesce(sum(events) FILTER (WHERE from_table = 'webhook_events' AND is_simulated), 0) AS simulated
    FROM runledger.ledger_removals
    WHERE from_table <> 'runs' AND day >= coalesce($1::date, '-infinity')
    GROUP BY 1, 2
),
replayed AS (
    SELECT segment_id, (replayed_at AT TIME ZONE 'UTC')::date AS day, count(*) AS events
    FROM runledger.ledger_replays
    WHERE replayed_at >= coalesce($1::date, '-infinity')::timestamp AT TIME ZONE 'UTC'
    GROUP BY 1, 2
),
oldest AS (
    SELECT (min((regexp_match(pg_get_expr(c.relpartbound, c.oid), $$FROM \('([^']+)'\)$$))[1]::timestamptz)
            AT TIME ZONE 'UTC')::date AS first_day
    FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'runledger.webhook_events'::regclass
)
SELECT replace(segment_id::text, '-', ''), to_char(day, 'YYYY-MM-DD'), coalesce(b.edge, e.edge, q.edge, ''),
       coalesce(b.batches, 0), coalesce(b.stored, 0), coalesce(b.applied, 0), coalesce(b.duplicate, 0),
       coalesce(b.quarantined, 0), coalesce(e.events, 0), coalesce(r.events, 0), coalesce(q.events, 0),
       coalesce(r.set_aside, 0), coalesce(p.events, 0), coalesce(r.simulated, 0),
       e.events IS NULL AND coalesce(r.events, 0) < coalesce(b.applied, 0) + coalesce(p.events, 0)
           AND coalesce(day < oldest.first_day, false)
FROM books AS b
FULL JOIN event_rows AS e USING (segment_id, day)
FULL JOIN set_aside AS q USING (segment_id, day)
FULL JOIN replayed AS p USING (segment_id, day)
LEFT JOIN removed AS r USING (segment_id, day)
CROSS JOIN oldest
ORDER BY 2, 3, 1
