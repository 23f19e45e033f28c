-- What Telegram has said about a chat as a whole, so that every daemon knows it and a restart forgets none of it.
CREATE TABLE runledger.telegram_chats (
    chat_id bigint PRIMARY KEY,
    migrated_to bigint,
    held_until timestamptz,
    last_error text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT telegram_chats_migrate_to_another CHECK (migrated_to <> chat_id)
);
COMMENT ON TABLE runledger.telegram_chats IS
    'Chats of which Telegram has said something that outlasts a message: most have no row. Written by the daemon.';
COMMENT ON COLUMN runledger.telegram_chats.chat_id IS 'Telegram''s id of the chat, as the application knows it.';
COMMENT ON COLUMN runledger.telegram_chats.migrated_to IS
    'The id that the group has had since it became a supergroup: messages go there. NULL: it has not moved.';
COMMENT ON COLUMN runledger.telegram_chats.held_until IS
    'After a 429 nothing is sent to the chat before this moment, by any daemon; NULL: there was none.';
COMMENT ON COLUMN runledger.telegram_chats.last_error IS 'What Telegram said.';
COMMENT ON COLUMN runledger.telegram_chats.changed_at IS 'When it said so.';

CREATE FUNCTION runledger.telegram_chat_now(p_chat_id bigint) RETURNS bigint
    LANGUAGE sql STABLE
    RETURN coalesce((SELECT migrated_to FROM runledger.telegram_chats WHERE chat_id = p_chat_id), p_chat_id);
COMMENT ON FUNCTION runledger.telegram_chat_now(bigint) IS
    'The id under which the chat is reached now: the group''s new one if it has moved. One step: whoever has moved twice is told again by Telegram, and stored.';
