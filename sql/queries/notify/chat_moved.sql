-- $1 the group's old id, $2 its new id, $3 what Telegram said. Messages that wait for the old one go to the new one.
WITH moved AS (
    INSERT INTO runledger.telegram_chats AS chat (chat_id, migrated_to, last_error)
    VALUES ($1::bigint, $2::bigint, $3)
    ON CONFLICT (chat_id) DO UPDATE
    SET migrated_to = excluded.migrated_to, last_error = excluded.last_error, changed_at = now()
    RETURNING chat_id, migrated_to)
UPDATE runledger.notifications AS n SET chat_id = moved.migrated_to
FROM moved
WHERE n.state = 'pending' AND n.chat_id = moved.chat_id
