-- $1 text[] runs, $2 bigint outputs grace in ms, $3 bigint longest duration in s.
-- Those that are settled for the first time; the others are settle_run's. ended_at_us: when the ending was received, in
-- microseconds since 1970; NULL: it is not settled.
SELECT settled.run_id, settled.outcome, settled.detail,
       CASE WHEN settled.outcome IN ('settled', 'kept')
            THEN (SELECT (extract(epoch FROM runledger.ended_at(r)) * 1000000)::bigint
                  FROM runledger.runs AS r WHERE r.run_id = settled.run_id) END AS ended_at_us
FROM runledger.settle_runs($1::text[], $2::bigint * interval '1 millisecond', $3::bigint * interval '1 second') AS settled
