-- $1 bigint the silence of a generation of which nothing was received, in milliseconds; $2 bigint how far to look back;
-- $3 timestamptz and $4 bigint: after which generation; $5 how many to read at most. Enters the runs of which nothing is
-- known. Returns the last generation that was read, and how many were; no row if there was none.
WITH read AS MATERIALIZED (
    SELECT id, run_id, request_timestamp, status FROM runledger.generations
    WHERE status IN ('pending', 'processing') AND run_id IS NOT NULL
      AND (request_timestamp, id) > ($3::timestamptz, $4::bigint)
      AND request_timestamp > now() - $2::bigint * interval '1 millisecond'
      AND request_timestamp < now() - $1::bigint * interval '1 millisecond'
    ORDER BY request_timestamp, id
    LIMIT $5::integer
),
enrolled AS (
    INSERT INTO runledger.reconcile_lookups (run_id)
    SELECT g.run_id FROM read AS g
    WHERE g.status = 'pending' AND NOT runledger.is_pseudonym(g.run_id)
      -- Not as joins, for which the planner might read a whole table.
      AND (SELECT true FROM runledger.runs AS r WHERE r.run_id = g.run_id) IS NULL
      AND (SELECT true FROM runledger.reconcile_lookups AS l WHERE l.run_id = g.run_id) IS NULL
    ORDER BY g.run_id
    ON CONFLICT (run_id) DO NOTHING
)
SELECT request_timestamp, id, (SELECT count(*) FROM read) AS rows_read
FROM read ORDER BY request_timestamp DESC, id DESC LIMIT 1
