-- $1 text gpu, $2 timestamptz from, $3 timestamptz to, $4 text[] verdicts. The runs themselves, in the order of their
-- endings.
SELECT r.generation_id, r.run_id, to_char(r.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS finished_at,
       coalesce(r.cost_before::text, 'unknown') AS cost_before, coalesce(r.cost_after::text, 'unknown') AS cost_after,
       row_to_json(r) AS json
FROM runledger.repricing($1, $2::timestamptz, $3::timestamptz) AS r
WHERE r.verdict = ANY ($4::text[])
ORDER BY r.finished_at, r.generation_id
