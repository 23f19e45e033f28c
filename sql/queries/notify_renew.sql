-- $1 id, $2 the daemon, $3 lease in milliseconds from now, $4 the chat's new id or NULL, $5 why there is another call.
UPDATE runledger.notifications
SET lease_until = now() + $3::bigint * interval '1 millisecond',
    chat_id = coalesce($4::bigint, chat_id),
    last_error = $5
WHERE id = $1 AND state = 'leased' AND lease_owner = $2
