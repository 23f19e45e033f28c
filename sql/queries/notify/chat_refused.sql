-- $1 the chat, $2 what Telegram said. Messages that wait for it would fail, too; one that may have arrived does not
-- become dead. Later messages are tried again, because the person may have come back.
UPDATE runledger.notifications
SET state = CASE WHEN uncertain_attempts > 0 OR parts_sent > 0 THEN 'uncertain' ELSE 'dead' END, last_error = $2
WHERE state = 'pending' AND chat_id = $1::bigint AND channel = 'telegram' AND bot = 'default'
RETURNING state
