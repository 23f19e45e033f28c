-- The look-ups of silent runs by state, for the metrics; looks and locks nothing. Each is counted up to 10,000.
SELECT (SELECT count(*) FROM (SELECT FROM runledger.reconcile_lookups WHERE next_at <= now() LIMIT 10000) AS due)
           AS due,
       (SELECT count(*) FROM (SELECT FROM runledger.reconcile_lookups
                              WHERE next_at > now() AND next_at < 'infinity' LIMIT 10000) AS later) AS later,
       (SELECT count(*) FROM (SELECT FROM runledger.reconcile_lookups WHERE next_at = 'infinity' LIMIT 10000) AS ended)
           AS given_up,
       coalesce((SELECT extract(epoch FROM now() - next_at) FROM runledger.reconcile_lookups
                 WHERE next_at <= now() ORDER BY next_at LIMIT 1), 0)::bigint AS oldest_due_seconds
