-- $1 bigint[] ids or NULL, $2 text chat or NULL, $3 bigint greatest age in seconds or NULL, $4 integer: how many at
-- most, the oldest first. Messages that were only logged are sent as if they were new. If a later correction about the
-- same generation was sent, or is to be sent, the message is skipped: it would contradict what the chat knows.
WITH chosen AS (
    SELECT n.id, runledger.is_corrected(n) AS is_corrected
    FROM runledger.notifications AS n
    WHERE n.state = 'logged'
      AND ($1::bigint[] IS NULL OR n.id = ANY ($1::bigint[]))
      AND ($2::text IS NULL OR n.chat_id = runledger.chat_named($2::text))
      AND ($3::bigint IS NULL OR n.created_at >= now() - $3::bigint * interval '1 second')
    ORDER BY n.id LIMIT $4::integer
    FOR UPDATE OF n),
skipped AS (
    UPDATE runledger.notifications AS n
    SET state = 'skipped', last_error = 'a later correction was sent or is to be sent'
    FROM chosen WHERE n.id = chosen.id AND chosen.is_corrected),
again AS (
    UPDATE runledger.notifications AS n
    SET state = 'pending', attempts = 0, not_before = now(), waits_since = now(), last_error = NULL,
        chat_id = runledger.telegram_chat_now(n.chat_id)
    FROM chosen WHERE n.id = chosen.id AND NOT chosen.is_corrected)
SELECT id, is_corrected, runledger.wake_outbox() FROM chosen ORDER BY id
