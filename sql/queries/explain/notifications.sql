-- $1 text run, $2 bigint generation.
SELECT n.kind, nullif(n.for_status, '') AS for_status, n.chat_id, n.recipient, n.state, n.attempts,
       to_char(n.sent_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS sent_at,
       to_char(n.logged_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS logged_at, n.message_id, n.last_error,
       n.channel, n.webhook_id, n.webhook_host, n.answer_status
FROM runledger.notifications AS n
WHERE n.run_id = $1 AND n.generation_id = $2::bigint
ORDER BY n.id
