-- $1 uuid segment, $2 bigint batch, $3 integer index: what this very transaction has set aside of the event.
SELECT id, reason, resolved_at IS NOT NULL AS is_resolved, encode(content, 'hex') AS content
FROM runledger.quarantine
WHERE segment_id = $1::uuid AND batch_number = $2::bigint AND event_index = $3::integer
  AND scope = 'output' AND xmin = pg_current_xact_id()::xid
