-- $1 the chat, $2 what Telegram said. Messages that wait for it would fail, too; one that may have arrived does not
-- become dead. Later messages are tried again, because the person may have come back. The application is told by a
-- trigger; not of a chat that was forgotten during the call.
WITH refused AS (
    INSERT INTO runledger.telegram_chats AS chat (chat_id, refused_at, last_error)
    SELECT $1::bigint, now(), $2
    WHERE EXISTS (SELECT FROM runledger.notifications WHERE chat_id = $1::bigint AND state = 'pending')
       OR EXISTS (SELECT FROM runledger.generations WHERE telegram_chat_id = $1::bigint)
    ON CONFLICT (chat_id) DO UPDATE
    SET refused_at = excluded.refused_at, last_error = excluded.last_error, changed_at = now())
UPDATE runledger.notifications
SET state = CASE WHEN uncertain_attempts > 0 OR parts_sent > 0 THEN 'uncertain' ELSE 'dead' END,
    last_error = $2 || ' (to another message in this chat)'
WHERE state = 'pending' AND chat_id = $1::bigint AND channel = 'telegram' AND bot = 'default'
RETURNING state
