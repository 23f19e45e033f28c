-- $1 timestamptz and $2 text: after which look-up; $3 how many to read at most. Removes those whose run is no longer
-- silent, or no longer exists, and is not being looked up. A run is entered again if it becomes silent again. Returns the
-- last one that was read, and how many were; no row if there was none.
WITH read AS MATERIALIZED (
    SELECT run_id, next_at FROM runledger.reconcile_lookups
    WHERE (next_at, run_id) > ($1::timestamptz, $2::text)
    ORDER BY next_at, run_id
    LIMIT $3::integer
),
removed AS (
    DELETE FROM runledger.reconcile_lookups
    WHERE run_id IN (
        SELECT l.run_id
        -- As an array: the planner takes it for a few rows, and reads each by its index.
        FROM unnest(ARRAY(SELECT run_id FROM read)) AS walked (run_id)
        JOIN runledger.reconcile_lookups AS l ON l.run_id = walked.run_id
        LEFT JOIN runledger.runs AS r ON r.run_id = l.run_id
        WHERE (l.lease_until IS NULL OR l.lease_until < now())
          AND CASE WHEN r.run_id IS NULL
                   THEN (SELECT true FROM runledger.generations AS g
                         WHERE g.run_id = l.run_id AND g.status = 'pending') IS NULL
                   ELSE r.terminal_status IS NOT NULL OR r.applied_at > coalesce(l.last_asked_at, l.enrolled_at) END
        FOR UPDATE OF l SKIP LOCKED)
)
SELECT next_at, run_id, (SELECT count(*) FROM read) AS rows_read
FROM read ORDER BY next_at DESC, run_id DESC LIMIT 1
