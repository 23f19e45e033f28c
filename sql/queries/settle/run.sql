-- $1 text run, $2 bigint outputs grace in ms, $3 bigint longest duration in s. ended_at_us: when the ending was received,
-- in microseconds since 1970, if this is the first settlement (kept may be a later one).
SELECT settled.outcome, settled.detail,
       CASE WHEN settled.outcome = 'settled'
            THEN (SELECT (extract(epoch FROM runledger.ended_at(r)) * 1000000)::bigint
                  FROM runledger.runs AS r WHERE r.run_id = $1::text) END AS ended_at_us
FROM runledger.settle_run($1::text, $2::bigint * interval '1 millisecond', $3::bigint * interval '1 second') AS settled
