-- $1 text[] run, $2 text[] status word, $3 timestamptz[] received.
INSERT INTO runledger.run_other_statuses AS other (run_id, status, received_at)
SELECT run_id, status, received_at
FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS incoming (run_id, status, received_at)
ORDER BY run_id COLLATE "C", status COLLATE "C"
ON CONFLICT (run_id, status) DO UPDATE SET received_at = least(other.received_at, EXCLUDED.received_at)
