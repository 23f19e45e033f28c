-- $1 the chat, $2 for how many milliseconds, $3 what Telegram said. It applies to every daemon.
INSERT INTO runledger.telegram_chats AS chat (chat_id, held_until, last_error)
VALUES ($1::bigint, now() + $2::bigint * interval '1 millisecond', $3)
ON CONFLICT (chat_id) DO UPDATE
SET held_until = greatest(chat.held_until, excluded.held_until), last_error = excluded.last_error, changed_at = now()
