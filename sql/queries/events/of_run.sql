-- $1 text run; $2 text[] statuses or NULL, $3 text edge or NULL, $4 and $5 timestamptz or NULL: received from, and before;
-- $6 integer how many at most. By the index on run_id, in each partition. The newest first, by receive time.
SELECT to_char(e.received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS received_at,
       to_char(e.applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS applied_at,
       e.run_id, e.status, e.event_type, e.edge, e.redelivered, replace(e.segment_id::text, '-', '') AS segment,
       e.batch_number, e.event_index, octet_length(e.body) AS bytes, runledger.is_simulated(e.run_id) AS simulated
FROM runledger.webhook_events AS e
WHERE e.run_id = $1::text
  AND ($2::text[] IS NULL OR e.status = ANY ($2::text[]))
  AND ($3::text IS NULL OR e.edge = $3::text)
  AND ($4::timestamptz IS NULL OR e.received_at >= $4::timestamptz)
  AND ($5::timestamptz IS NULL OR e.received_at < $5::timestamptz)
ORDER BY e.received_at DESC, e.segment_id DESC, e.batch_number DESC, e.event_index DESC
LIMIT $6::integer
