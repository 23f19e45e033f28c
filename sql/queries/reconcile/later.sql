-- $1 run, $2 the daemon, $3 bigint delay in milliseconds (NULL: never again), $4 attempts that do not count, $5 the
-- provider's word or NULL to keep the last one, $6 the error or NULL for none.
UPDATE runledger.reconcile_lookups
SET next_at = CASE WHEN $3::bigint IS NULL THEN 'infinity' ELSE now() + $3::bigint * interval '1 millisecond' END,
    attempts = greatest(attempts - $4::integer, 0),
    last_status = coalesce($5, last_status),
    last_error = $6,
    lease_owner = NULL,
    lease_until = NULL
WHERE run_id = $1 AND lease_owner = $2
