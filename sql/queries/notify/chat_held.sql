-- $1 the chat, $2 for how many milliseconds, $3 what Telegram said. It applies to every daemon. Not of a chat that was
-- forgotten during the call: nobody has it any more.
INSERT INTO runledger.telegram_chats AS chat (chat_id, held_until, last_error)
SELECT $1::bigint, now() + $2::bigint * interval '1 millisecond', $3
WHERE EXISTS (SELECT FROM runledger.notifications WHERE chat_id = $1::bigint AND state = 'leased')
   OR EXISTS (SELECT FROM runledger.notifications WHERE chat_id = $1::bigint AND state = 'pending')
   OR EXISTS (SELECT FROM runledger.generations WHERE telegram_chat_id = $1::bigint)
ON CONFLICT (chat_id) DO UPDATE
SET held_until = greatest(chat.held_until, excluded.held_until), last_error = excluded.last_error, changed_at = now()
