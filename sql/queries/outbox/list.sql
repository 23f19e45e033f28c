-- $1 bigint[] ids or NULL, $2 text[] states or NULL, $3 text chat, a number or @channelname, or NULL, $4 text in last_error or NULL,
-- $5 bigint least age in seconds or NULL, $6 integer: how many at most. The newest first.
SELECT n.id, n.state, n.kind, n.run_id, n.generation_id, n.chat_id, n.recipient, n.attempts, n.uncertain_attempts, n.parts_sent,
       n.message_id, coalesce(n.last_error, '') AS last_error, coalesce(n.payload ->> 'status', n.payload #>> '{data,status}') AS status,
       extract(epoch FROM now() - n.created_at)::bigint AS age_seconds,
       to_char(n.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS created_at,
       to_char(n.not_before AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS not_before,
       to_char(n.sending_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS sending_at,
       to_char(n.sent_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS sent_at,
       n.lease_owner, n.channel, n.webhook_id, n.webhook_host, n.answer_status, n.group_key AS group_id,
       g.application_id::text AS application_id
FROM runledger.notifications AS n
LEFT JOIN runledger.generations AS g ON g.id = n.generation_id
WHERE ($1::bigint[] IS NULL OR n.id = ANY ($1::bigint[]))
  AND ($2::text[] IS NULL OR n.state = ANY ($2::text[]))
  AND ($3::text IS NULL OR n.chat_id = runledger.chat_named($3::text))
  AND ($4::text IS NULL OR strpos(lower(n.last_error), lower($4::text)) > 0)
  AND ($5::bigint IS NULL OR n.created_at <= now() - $5::bigint * interval '1 second')
ORDER BY n.id DESC
LIMIT $6::integer
