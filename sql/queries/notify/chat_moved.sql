-- $1 the group's old id, $2 its new id, $3 what Telegram said. Messages that wait for the old one go to the new one.
-- Not of a chat that was forgotten during the call.
WITH moved AS (
    INSERT INTO runledger.telegram_chats AS chat (chat_id, migrated_to, last_error)
    SELECT $1::bigint, $2::bigint, $3
    WHERE EXISTS (SELECT FROM runledger.notifications WHERE chat_id = $1::bigint AND state = 'leased')
       OR EXISTS (SELECT FROM runledger.notifications WHERE chat_id = $1::bigint AND state = 'pending')
       OR EXISTS (SELECT FROM runledger.generations WHERE telegram_chat_id = $1::bigint)
    ON CONFLICT (chat_id) DO UPDATE
    SET migrated_to = excluded.migrated_to, last_error = excluded.last_error, changed_at = now()
    RETURNING chat_id, migrated_to)
UPDATE runledger.notifications AS n SET chat_id = moved.migrated_to
FROM moved
WHERE n.state = 'pending' AND n.chat_id = moved.chat_id
