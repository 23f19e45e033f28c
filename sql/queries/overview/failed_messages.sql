-- $1 integer: how many at most. The last messages of a week that reached nobody, or perhaps nobody. Those that were
-- skipped on purpose are in the same index, and may be many: hence the inner bound.
SELECT n.notification_id, n.run_id, n.kind, n.channel, CASE n.kind WHEN 'group' THEN n.group_id END AS group_id,
       CASE WHEN n.channel = 'webhook' THEN n.webhook_host
            ELSE 'chat ' || CASE WHEN n.recipient LIKE '@%' THEN n.recipient ELSE n.chat_id::text END END AS recipient,
       n.state, n.attempts, left(n.last_error, 300) AS last_error,
       to_char(n.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS created_at
FROM (SELECT * FROM runledger.failed_notifications_v1 WHERE created_at > now() - interval '7 days'
      ORDER BY created_at DESC LIMIT 500) AS n
WHERE n.state IN ('dead', 'uncertain')
ORDER BY n.notification_id DESC LIMIT $1::integer
