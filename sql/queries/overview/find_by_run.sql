-- $1 text run.
SELECT generation_id, application_id, coalesce(run_id, '') AS run_id, status, cost_usd,
       duration_ms, telegram_chat_id, to_char(request_timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS requested_at
FROM runledger.run_costs_v1 WHERE run_id = $1
