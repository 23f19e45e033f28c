-- For the scratch schema, whose name replaces `runledger.`. $1 the last run that was settled, $2 integer how many, $3
-- bigint outputs grace in ms, $4 bigint longest duration in s.
SELECT due.run_id, settled.outcome, coalesce(settled.detail, '') AS detail
FROM (SELECT run_id FROM runledger.runs WHERE run_id > $1 ORDER BY run_id LIMIT $2::integer) AS due,
     LATERAL runledger.settle_run(due.run_id, $3::bigint * interval '1 millisecond', $4::bigint * interval '1 second')
         AS settled
ORDER BY due.run_id
