-- $1 text. The generations of this key: the application's own first, then the ledger's number.
SELECT c.generation_id, c.application_id, coalesce(c.run_id, '') AS run_id, c.status,
       c.cost_usd, c.duration_ms, c.telegram_chat_id,
       to_char(c.request_timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS requested_at
FROM runledger.generations_by_key($1) AS k
CROSS JOIN LATERAL (SELECT * FROM runledger.run_costs_v1 AS cost WHERE cost.generation_id = k.generation_id) AS c
ORDER BY k.matches
