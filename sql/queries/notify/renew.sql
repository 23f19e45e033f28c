-- $1 id, $2 the daemon, $3 lease in milliseconds from now, $4 the chat's new id or NULL, $5 why there is another call,
-- $6 how many parts are confirmed by now, $7 the first message's id or NULL; how the next part is sent: $8 form,
-- $9 without a thread, $10 fallbacks, $11 429 answers so far, $12 without buttons.
UPDATE runledger.notifications
SET lease_until = now() + $3::bigint * interval '1 millisecond',
    chat_id = coalesce($4::bigint, chat_id),
    last_error = coalesce($5, last_error),
    parts_sent = $6::integer,
    message_id = coalesce(message_id, $7::bigint),
    form = $8,
    without_thread = $9::boolean,
    fallbacks = $10::integer,
    refused_for_pace = $11::integer,
    without_buttons = $12::boolean,
    sending_at = now()
WHERE id = $1 AND state = 'leased' AND lease_owner = $2
