-- $1 boolean: with those that are resolved.
SELECT id, to_char(quarantined_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS quarantined_at, scope, reason,
       replace(segment_id::text, '-', '') AS segment, batch_number, event_index, edge, run_id,
       octet_length(content) AS bytes,
       to_char(resolved_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS resolved_at, resolution
FROM runledger.quarantine
WHERE $1::boolean OR resolved_at IS NULL
ORDER BY id
