-- $1 text run, $2 integer: how many steps at most. In the order of time; what has the same time, in the order in which
-- it must have happened.
SELECT to_char(t.at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, to_char(t.at AT TIME ZONE 'UTC', 'HH24:MI:SS.MS') AS time,
       t.step, t.status, t.edge, t.detail,
       extract(epoch FROM t.at - lag(t.at) OVER in_order)::double precision AS after_seconds
FROM runledger.run_timeline_v1 AS t WHERE t.run_id = $1
WINDOW in_order AS (ORDER BY t.at, CASE t.step WHEN 'requested' THEN 0 WHEN 'received' THEN 1 ELSE 2 END)
ORDER BY t.at, CASE t.step WHEN 'requested' THEN 0 WHEN 'received' THEN 1 ELSE 2 END
LIMIT $2::integer
