-- Each attempt leaves a mark before its call, parts of a message are counted, and what has waited too long is found.
ALTER TABLE runledger.notifications
    ADD COLUMN waits_since timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN sending_at timestamptz,
    ADD COLUMN parts_sent integer NOT NULL DEFAULT 0,
    ADD CONSTRAINT notifications_are_marked_before_they_are_sent
        CHECK (state <> 'leased' OR sending_at IS NOT NULL) NOT VALID,
    ADD CONSTRAINT notifications_parts_sent_is_not_negative CHECK (parts_sent >= 0);
COMMENT ON COLUMN runledger.notifications.waits_since IS
    'Since when somebody waits for it: when it was made, or when an operator had it tried again. After [telegram] not_after_seconds it is skipped.';
COMMENT ON COLUMN runledger.notifications.sending_at IS
    'The mark before each send: when the last attempt was begun, committed before its first call; NULL before the first. In state leased: the message may be on its way.';
COMMENT ON COLUMN runledger.notifications.parts_sent IS
    'How many calls of a message that takes several (more than ten pictures) Telegram has confirmed: the next attempt goes on there.';
COMMENT ON COLUMN runledger.notifications.state IS
    'pending: to be sent, not before not_before. leased: a daemon is sending it, and may already have. sent: Telegram took it, as message_id in chat_id. uncertain: it may have arrived, nobody confirmed it, and it is not tried again. dead: Telegram refused it for good, or all attempts failed. skipped: not sent on purpose, last_error says which.';

CREATE INDEX notifications_pending_chat_idx ON runledger.notifications (chat_id, id) WHERE state = 'pending';
CREATE INDEX notifications_leased_chat_idx ON runledger.notifications (chat_id) WHERE state = 'leased';
CREATE INDEX notifications_waiting_idx ON runledger.notifications (waits_since) WHERE state = 'pending';
COMMENT ON INDEX runledger.notifications_pending_chat_idx IS
    'Notify goes from chat to chat and takes the first of each, so that no chat holds up the others.';
COMMENT ON INDEX runledger.notifications_leased_chat_idx IS 'A chat with a message on its way gets no other.';
COMMENT ON INDEX runledger.notifications_waiting_idx IS 'What has waited past [telegram] not_after_seconds.';
