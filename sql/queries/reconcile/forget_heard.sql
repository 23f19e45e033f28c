-- Removes runs that are no longer silent, or no longer exist, and are not being looked up. A run is entered again if it
-- becomes silent again.
DELETE FROM runledger.reconcile_lookups
WHERE run_id IN (
    SELECT l.run_id
    FROM runledger.reconcile_lookups AS l
    LEFT JOIN runledger.runs AS r ON r.run_id = l.run_id
    WHERE (l.lease_until IS NULL OR l.lease_until < now())
      AND CASE WHEN r.run_id IS NULL
               THEN NOT EXISTS (SELECT FROM runledger.generations AS g WHERE g.run_id = l.run_id AND g.status = 'pending')
               ELSE r.terminal_status IS NOT NULL OR r.applied_at > coalesce(l.last_asked_at, l.enrolled_at) END
    FOR UPDATE OF l SKIP LOCKED)
