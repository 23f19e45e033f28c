-- $1 text[] statuses and $2 bigint[] the silence that suits each, in milliseconds; $3 bigint how far to look back; $4 how
-- many at most. Reads the runs that are due to be looked at, the newest first, and no others. A run's silence starts when
-- the daemon last stored something about it, so neither an edge's clock nor a backlog looks like silence. A run that is
-- not silent yet is due again when it may be. One that is being looked up stays due until its lease is gone. A forgotten or simulated run is not asked
-- about: the provider does not know it.
WITH limits AS MATERIALIZED (
    SELECT status, ms * interval '1 millisecond' AS silence, min(ms) OVER () * interval '1 millisecond' AS shortest
    FROM unnest($1::text[], $2::bigint[]) AS given (status, ms)
),
due AS MATERIALIZED (
    SELECT run_id, status, applied_at FROM runledger.runs
    WHERE quiet_from IS NOT NULL AND terminal_status IS NULL
      AND quiet_from <= now() - (SELECT shortest FROM limits LIMIT 1)
      AND (SELECT true FROM runledger.reconcile_lookups AS l
           WHERE l.run_id = runs.run_id AND l.lease_until >= now()) IS NULL
    ORDER BY quiet_from DESC
    LIMIT $4::integer
    FOR NO KEY UPDATE SKIP LOCKED
),
judged AS MATERIALIZED (
    SELECT due.run_id,
           CASE WHEN runledger.is_pseudonym(due.run_id) OR runledger.is_simulated(due.run_id) THEN 'unknown there'
                WHEN due.applied_at <= now() - $3::bigint * interval '1 millisecond' THEN 'too old'
                WHEN due.applied_at <= now() - limits.silence THEN 'silent'
                ELSE 'heard' END AS verdict,
           due.applied_at + (limits.silence - limits.shortest) AS heard_from
    FROM due JOIN limits ON limits.status = due.status
),
moved AS (
    UPDATE runledger.runs AS r
    SET quiet_from = j.quiet_from
    -- As arrays: the planner takes them for a few rows, and reads each run by its index.
    FROM unnest(ARRAY(SELECT run_id FROM judged ORDER BY run_id),
                ARRAY(SELECT CASE WHEN verdict = 'heard' THEN heard_from END FROM judged ORDER BY run_id))
             AS j (run_id, quiet_from)
    WHERE r.run_id = j.run_id
)
INSERT INTO runledger.reconcile_lookups AS l (run_id)
SELECT run_id FROM judged WHERE verdict = 'silent' ORDER BY run_id
-- One that was given up has been heard since; so may another have been, which forget_heard has not come to yet.
ON CONFLICT (run_id) DO UPDATE
    SET enrolled_at = now(), attempts = 0, next_at = now(), last_asked_at = NULL, last_status = NULL, last_error = NULL
    WHERE (l.lease_until IS NULL OR l.lease_until < now())
      AND (l.next_at = 'infinity'
           OR (SELECT r.applied_at FROM runledger.runs AS r WHERE r.run_id = l.run_id) > coalesce(l.last_asked_at, l.enrolled_at))
