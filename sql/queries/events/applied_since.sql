-- $1 timestamptz: applied since then, found by BRIN in the partitions of these days; $2 text run or NULL, $3 text[]
-- statuses or NULL, $4 text edge or NULL. In the order in which they were stored.
SELECT to_char(e.received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS received_at,
       to_char(e.applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS applied_at,
       e.run_id, e.status, e.event_type, e.edge, e.redelivered, replace(e.segment_id::text, '-', '') AS segment,
       e.batch_number, e.event_index, octet_length(e.body) AS bytes, runledger.is_simulated(e.run_id) AS simulated
FROM runledger.webhook_events AS e
WHERE e.applied_at >= $1::timestamptz
  AND ($2::text IS NULL OR e.run_id = $2::text)
  AND ($3::text[] IS NULL OR e.status = ANY ($3::text[]))
  AND ($4::text IS NULL OR e.edge = $4::text)
ORDER BY e.applied_at, e.received_at, e.segment_id, e.batch_number, e.event_index
