-- $1 bigint id. Locks the row, so that two operators do not replay it at once.
SELECT id, to_char(quarantined_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS quarantined_at, scope, reason,
       replace(segment_id::text, '-', '') AS segment, batch_number, event_index, edge,
       to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS received_text,
       (extract(epoch FROM received_at) * 1000000)::bigint AS received_us,
       replace(boot_id::text, '-', '') AS boot, boottime_us, coalesce(redelivered, false) AS redelivered, run_id,
       encode(content, 'hex') AS content,
       to_char(resolved_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS resolved_at, resolution
FROM runledger.quarantine
WHERE id = $1::bigint
FOR UPDATE
