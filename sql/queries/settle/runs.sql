-- $1 text[] runs, $2 bigint outputs grace in ms, $3 bigint longest duration in s.
-- Those that are settled for the first time; the others are settle_run's.
SELECT run_id, outcome, detail FROM runledger.settle_runs(
    $1::text[], $2::bigint * interval '1 millisecond', $3::bigint * interval '1 second')
