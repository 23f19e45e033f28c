-- $1 text run. Generations that the run settled and that are gone, with what was settled last.
SELECT DISTINCT ON (s.generation_id) s.generation_id AS id, s.status, round(s.duration_us / 1000.0, 3) AS duration_ms,
       s.cost_usd, s.cost_note
FROM runledger.settlements AS s
WHERE s.run_id = $1 AND s.outcome NOT IN ('edited_by_hand', 'reopened')
  AND s.row_is_gone
ORDER BY s.generation_id, s.id DESC
