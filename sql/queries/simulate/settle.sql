-- $1 text run, $2 bigint milliseconds of grace for outputs, $3 bigint longest duration in s.
SELECT outcome, detail
FROM runledger.settle_run($1::text, $2::bigint * interval '1 millisecond', $3::bigint * interval '1 second')
