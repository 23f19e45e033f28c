-- $1 and $2 date: a UTC day of applied_at and the next, by which all other partitions are left out; $3 text[] statuses or
-- NULL, $4 text edge or NULL, $5 and $6 timestamptz or NULL: received from, and before; $7 integer how many at most. The
-- newest first, by receive time.
SELECT to_char(e.received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS received_at,
       to_char(e.applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS applied_at,
       e.run_id, e.status, e.event_type, e.edge, e.redelivered, replace(e.segment_id::text, '-', '') AS segment,
       e.batch_number, e.event_index, octet_length(e.body) AS bytes, runledger.is_simulated(e.run_id) AS simulated
FROM runledger.webhook_events AS e
WHERE e.applied_at >= $1::date::timestamp AT TIME ZONE 'UTC' AND e.applied_at < $2::date::timestamp AT TIME ZONE 'UTC'
  AND ($3::text[] IS NULL OR e.status = ANY ($3::text[]))
  AND ($4::text IS NULL OR e.edge = $4::text)
  AND ($5::timestamptz IS NULL OR e.received_at >= $5::timestamptz)
  AND ($6::timestamptz IS NULL OR e.received_at < $6::timestamptz)
ORDER BY e.received_at DESC, e.segment_id DESC, e.batch_number DESC, e.event_index DESC
LIMIT $7::integer
