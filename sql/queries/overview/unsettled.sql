-- $1 integer: how many are shown at most. Runs that wait to be settled: how many, since when, and the oldest that have
-- failed.
SELECT all_of_them.runs, all_of_them.oldest_seconds, all_of_them.failing, shown.run_id, shown.attempts,
       left(shown.last_error, 300) AS last_error
FROM (SELECT count(*) AS runs, coalesce(extract(epoch FROM now() - min(queued_at)), 0)::bigint AS oldest_seconds,
             count(last_error) AS failing
      FROM runledger.unsettled_v1) AS all_of_them
LEFT JOIN (SELECT run_id, attempts, last_error FROM runledger.unsettled_v1 WHERE last_error IS NOT NULL
           ORDER BY queued_at LIMIT $1::integer) AS shown ON true
