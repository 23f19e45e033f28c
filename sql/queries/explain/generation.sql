-- $1 text run, $2 bigint generation or NULL. The generations that name the run, or were settled by it, and this one, with
-- their last settlement and the rate that would be taken now.
SELECT g.id, g.application_id::text AS application_id, g.run_id, g.status, g.status_reason, g.duration_ms, g.cost_usd, g.cost_note,
       g.run_id IS NOT DISTINCT FROM $1 AS names_it,
       last.id IS NOT NULL AND last.outcome <> 'reopened' AS is_settled, last.run_id AS settled_by,
       last.id IS NOT NULL AND last.outcome <> 'reopened' AND runledger.is_edited_by_hand(g, last) AS is_edited,
       last.status AS settled_status, round(last.duration_us / 1000.0, 3) AS settled_ms, last.cost_usd AS settled_cost,
       last.cost_note AS settled_note, last.duration_us, last.duration_note, last.keeps_status,
       last.cost_usd IS NOT NULL AND last.rate_amount IS NULL AS is_given,
       CASE WHEN last.rate_amount IS NULL THEN rate.amount ELSE last.rate_amount END AS amount,
       CASE WHEN last.rate_amount IS NULL THEN rate.unit ELSE last.rate_unit END AS unit,
       CASE WHEN last.rate_amount IS NULL THEN rate.source ELSE last.rate_source END AS source,
       CASE WHEN last.rate_amount IS NULL THEN rate.gpu ELSE last.gpu END AS gpu,
       CASE WHEN last.rate_amount IS NULL THEN rate.token_count ELSE last.token_count END AS token_count,
       rate.note AS rate_note, left(runledger.said_in(g.metadata) ->> 'costRate', 200) AS said_rate,
       left(runledger.said_in(g.metadata) ->> 'gpu', 200) AS said_gpu,
       left(runledger.said_in(g.metadata) ->> 'tokenCount', 200) AS said_token_count
FROM runledger.generations AS g
LEFT JOIN runledger.runs AS r ON r.run_id = $1
CROSS JOIN runledger.last_settlement(g.id) AS last
CROSS JOIN runledger.rate_for(g.metadata, coalesce(r.finished_at, now())) AS rate
WHERE g.id IN (SELECT id FROM runledger.generations WHERE run_id = $1 UNION
               SELECT generation_id FROM runledger.settlements WHERE run_id = $1 AND NOT row_is_gone UNION
               SELECT $2::bigint)
ORDER BY g.run_id IS NOT DISTINCT FROM $1 DESC, g.id
