-- $1 id, $2 the daemon, $3 Telegram's message id or NULL, $4 what was met on the way or NULL,
-- $5 how many parts are confirmed by now. A store that is repeated after a lost answer writes the same.
UPDATE runledger.notifications
SET state = 'sent', sent_at = now(), message_id = coalesce(message_id, $3::bigint), last_error = $4,
    parts_sent = $5::integer, lease_owner = NULL, lease_until = NULL
WHERE id = $1 AND state = 'leased' AND lease_owner = $2
