-- $1 the daemon, $2 lease in milliseconds, $3 how many. Skips rows of another daemon; takes over an expired lease.
UPDATE runledger.reconcile_lookups AS l
SET attempts = l.attempts + 1,
    last_asked_at = now(),
    lease_owner = $1,
    lease_until = now() + $2::bigint * interval '1 millisecond'
FROM (
    SELECT run_id FROM runledger.reconcile_lookups
    WHERE next_at <= now() AND (lease_until IS NULL OR lease_until < now())
    ORDER BY next_at, run_id
    LIMIT $3::integer
    FOR UPDATE SKIP LOCKED) AS due
WHERE l.run_id = due.run_id
RETURNING l.run_id, l.attempts, (extract(epoch FROM now() - l.enrolled_at) * 1000)::bigint AS age_ms
