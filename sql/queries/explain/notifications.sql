-- $1 text run, $2 bigint generation. With what was told of the group that the generation is in.
SELECT n.kind, nullif(n.for_status, '') AS for_status, n.chat_id, n.recipient, n.state, n.attempts,
       to_char(n.sent_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS sent_at,
       to_char(n.logged_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS logged_at, n.message_id, n.last_error,
       n.channel, n.webhook_id, n.webhook_host, n.answer_status,
       CASE n.kind WHEN 'group' THEN n.group_key END AS group_id
FROM runledger.notifications AS n
WHERE n.run_id = $1 AND n.generation_id = $2::bigint
   OR n.kind = 'group' AND n.group_key = (SELECT g.group_key FROM runledger.generations AS g WHERE g.id = $2::bigint)
ORDER BY n.id
