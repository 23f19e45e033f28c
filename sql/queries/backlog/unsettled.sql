-- What settle has not done yet, for the metrics; looks and locks nothing. A row for each state that there is. Of entries
-- that are new, that are tried again, and that were slow, 10,000 each are looked at, so that the look is bounded. Runs that
-- `runledger simulate` made up are left out, as in unsettled_v1.
WITH entries AS MATERIALIZED (
    (SELECT run_id, queued_at, 'new' AS state FROM runledger.settle_queue
     WHERE attempts = 0 ORDER BY queued_in, id LIMIT 10000)
    UNION ALL
    (SELECT run_id, queued_at, CASE WHEN last_error LIKE 'failed%' THEN 'refused' ELSE 'locked' END
     FROM runledger.settle_queue WHERE attempts > 0 AND is_slow = false ORDER BY due_at, id LIMIT 10000)
    UNION ALL
    (SELECT run_id, queued_at, CASE WHEN last_error LIKE 'failed%' THEN 'refused' ELSE 'locked' END
     FROM runledger.settle_queue WHERE attempts > 0 AND is_slow = true ORDER BY due_at, id LIMIT 10000)
)
SELECT state, count(DISTINCT run_id) AS runs,
       greatest(extract(epoch FROM clock_timestamp() - min(queued_at)), 0)::bigint AS oldest_seconds
FROM entries
WHERE NOT runledger.is_simulated(run_id)
GROUP BY state
