-- $1 bigint[] ids or NULL, $2 bigint chat or NULL, $3 bigint greatest age in seconds or NULL, $4 integer: how many at
-- most, the oldest first. Messages that were only logged are sent as if they were new.
WITH chosen AS (
    SELECT n.id FROM runledger.notifications AS n
    WHERE n.state = 'logged'
      AND ($1::bigint[] IS NULL OR n.id = ANY ($1::bigint[]))
      AND ($2::bigint IS NULL OR n.chat_id = $2::bigint)
      AND ($3::bigint IS NULL OR n.created_at >= now() - $3::bigint * interval '1 second')
    ORDER BY n.id LIMIT $4::integer
    FOR UPDATE),
again AS (
    UPDATE runledger.notifications AS n
    SET state = 'pending', attempts = 0, not_before = now(), waits_since = now(), last_error = NULL,
        chat_id = runledger.telegram_chat_now(n.chat_id)
    FROM chosen WHERE n.id = chosen.id
    RETURNING n.id)
SELECT id, pg_notify('runledger_outbox', '') FROM again ORDER BY id
