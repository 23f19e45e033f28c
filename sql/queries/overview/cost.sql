-- $1 text run. How the cost of the generation that names it came about.
SELECT c.generation_id, c.application_id, c.status, c.duration_ms, c.duration_clock, c.rate_amount, c.rate_unit, c.rate_source, c.gpu,
       c.cost_usd, c.cost_note, c.status_reason, c.telegram_chat_id, c.token_count,
       to_char(c.running_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS running_at,
       to_char(c.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS finished_at
FROM runledger.run_costs_v1 AS c WHERE c.run_id = $1
