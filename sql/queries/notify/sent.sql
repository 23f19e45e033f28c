-- $1 id, $2 the daemon, $3 Telegram's message id or NULL, $4 what was met on the way or NULL.
UPDATE runledger.notifications
SET state = 'sent', sent_at = now(), message_id = coalesce(message_id, $3::bigint), last_error = $4,
    parts_sent = parts_sent + 1, lease_owner = NULL, lease_until = NULL
WHERE id = $1 AND state = 'leased' AND lease_owner = $2
