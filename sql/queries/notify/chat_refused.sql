-- $1 the chat, $2 what Telegram said. What waits for it has no better chance; what may have arrived is not called dead.
-- Whatever is made later is tried: the person may have come back.
UPDATE runledger.notifications
SET state = CASE WHEN uncertain_attempts > 0 OR parts_sent > 0 THEN 'uncertain' ELSE 'dead' END, last_error = $2
WHERE state = 'pending' AND chat_id = $1::bigint AND channel = 'telegram' AND bot = 'default'
RETURNING state
