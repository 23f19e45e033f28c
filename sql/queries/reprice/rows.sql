-- $1 text gpu, $2 timestamptz from, $3 timestamptz to, $4 text[] verdicts. The runs themselves, in the order of their
-- endings.
SELECT r.generation_id, g.application_id::text AS application_id, r.run_id, to_char(r.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS finished_at,
       coalesce(r.cost_before::text, 'unknown') AS cost_before, coalesce(r.cost_after::text, 'unknown') AS cost_after,
       (SELECT row_to_json(named) FROM (SELECT r.*, g.application_id::text AS application_id) AS named) AS json
FROM runledger.repricing($1, $2::timestamptz, $3::timestamptz) AS r
LEFT JOIN runledger.generations AS g ON g.id = r.generation_id
WHERE r.verdict = ANY ($4::text[])
ORDER BY r.finished_at, r.generation_id
