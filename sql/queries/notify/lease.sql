-- $1 bigint[] ids from find_expired and find_due, $2 the daemon, $3 lease in milliseconds. Another daemon
-- may have been faster: rows that it has, or is taking, are skipped. When this is committed, the row says that the
-- message may be on its way. The message is that of the newest settlement, which may have come while it waited.
UPDATE runledger.notifications AS n
SET state = 'leased',
    attempts = n.attempts + 1,
    uncertain_attempts = n.uncertain_attempts + CASE due.state WHEN 'leased' THEN 1 ELSE 0 END,
    lease_owner = $2,
    lease_until = now() + $3::bigint * interval '1 millisecond',
    sending_at = now(),
    payload = runledger.newest_notice(n)
FROM (
    SELECT id, state FROM runledger.notifications
    WHERE id = ANY ($1::bigint[])
      AND (state = 'pending' AND not_before <= now() OR state = 'leased' AND lease_until < now())
    ORDER BY id
    FOR UPDATE SKIP LOCKED) AS due
WHERE n.id = due.id
RETURNING n.id, n.chat_id, CASE WHEN n.chat_id < -1000000000000000000 THEN n.recipient ELSE '' END AS chat_name,
    n.run_id, n.kind, n.payload::text AS payload, n.attempts, n.uncertain_attempts,
    n.parts_sent, n.form, n.without_thread, n.fallbacks, n.refused_for_pace, n.without_buttons,
    (extract(epoch FROM now() - n.created_at) * 1000)::bigint AS age_ms
