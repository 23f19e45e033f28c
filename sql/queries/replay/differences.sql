-- For the scratch schema, whose name replaces `runledger.`.
SELECT s.run_id, s.generation_id, s.application_id, s.run_status AS stored_run_status, s.status AS stored_status,
       s.duration_ms AS stored_duration_ms, s.cost_usd AS stored_cost_usd, s.cost_note AS stored_cost_note,
       r.terminal_status AS run_status, g.status, g.duration_ms, g.cost_usd, g.cost_note
FROM runledger.replay_stored AS s
JOIN runledger.runs AS r ON r.run_id = s.run_id
LEFT JOIN runledger.generations AS g ON g.id = s.generation_id
WHERE s.is_whole
  AND (s.run_status, s.status, s.duration_ms, s.cost_usd, s.cost_note)
      IS DISTINCT FROM (r.terminal_status, g.status, g.duration_ms, g.cost_usd, g.cost_note)
ORDER BY s.run_id
