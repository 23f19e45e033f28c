-- $1 id, $2 the daemon, $3 lease in milliseconds from now, $4 the chat's new id or NULL, $5 why there is another call,
-- $6 how many parts are confirmed by now, $7 the first message's id or NULL.
UPDATE runledger.notifications
SET lease_until = now() + $3::bigint * interval '1 millisecond',
    chat_id = coalesce($4::bigint, chat_id),
    last_error = coalesce($5, last_error),
    parts_sent = $6::integer,
    message_id = coalesce(message_id, $7::bigint),
    sending_at = now()
WHERE id = $1 AND state = 'leased' AND lease_owner = $2
