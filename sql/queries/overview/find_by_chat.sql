-- $1 bigint chat, $2 integer: how many at most. Its generations, those that have not ended and the newest first.
SELECT generation_id, application_id, coalesce(run_id, '') AS run_id, status, cost_usd,
       duration_ms, telegram_chat_id, to_char(request_timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS requested_at
FROM runledger.run_costs_v1 WHERE telegram_chat_id = $1::bigint
ORDER BY response_timestamp DESC LIMIT $2::integer
