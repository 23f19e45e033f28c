-- $1 to $5 as in list.sql. Pending, dead and uncertain messages are not sent any more, and the row says why. A
-- message that a daemon is sending is not changed.
WITH dropped AS (
    UPDATE runledger.notifications AS n
    SET state = 'skipped', last_error = concat_ws(': ', 'dropped by an operator', n.last_error)
    WHERE n.state IN ('pending', 'dead', 'uncertain')
      AND ($1::bigint[] IS NULL OR n.id = ANY ($1::bigint[]))
      AND ($2::text[] IS NULL OR n.state = ANY ($2::text[]))
      AND ($3::text IS NULL OR n.chat_id = runledger.chat_named($3::text))
      AND ($4::text IS NULL OR strpos(lower(n.last_error), lower($4::text)) > 0)
      AND ($5::bigint IS NULL OR n.created_at <= now() - $5::bigint * interval '1 second')
    RETURNING n.id)
SELECT id FROM dropped ORDER BY id
