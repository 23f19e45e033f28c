-- $1 text month. The lines of its statement, by a cursor.
DECLARE statement_lines NO SCROLL CURSOR FOR
SELECT l.period, l.kind, l.about_period, coalesce(l.application_id, l.generation_id::text) AS generation_id, l.run_id, l.telegram_chat_id,
       to_char(l.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS finished_at, l.status, l.duration_ms,
       l.gpu, l.rate_amount, l.rate_unit, l.cost_usd, l.cost_note, l.amount_usd,
       to_char(l.posted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS posted_at, l.reason, l.cost_usd_before,
       l.token_count, l.account_id, l.tool
FROM runledger.statement_lines_v1 AS l
WHERE l.period = $1::text
