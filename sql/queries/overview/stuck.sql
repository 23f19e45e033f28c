-- $1 integer: how many are counted at most, $2 integer: how many are shown at most. Runs that are silent for too long.
SELECT all_of_them.runs, shown.run_id, coalesce(shown.status, 'no event') AS status, shown.silent_seconds
FROM (SELECT count(*) AS runs FROM (SELECT FROM runledger.stuck_runs_v1 LIMIT $1::integer) AS s) AS all_of_them
LEFT JOIN (SELECT run_id, status, extract(epoch FROM silent_for)::bigint AS silent_seconds
           FROM runledger.stuck_runs_v1 LIMIT $2::integer) AS shown ON true
