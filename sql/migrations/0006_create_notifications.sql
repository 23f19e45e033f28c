-- The outbox: who is to be told what, written with the settlement, sent afterwards.
CREATE TABLE runledger.notifications (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    generation_id bigint NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    for_status text NOT NULL,
    channel text NOT NULL DEFAULT 'telegram',
    bot text NOT NULL DEFAULT 'default',
    chat_id bigint,
    payload jsonb NOT NULL,
    state text NOT NULL DEFAULT 'pending',
    created_at timestamptz NOT NULL DEFAULT now(),
    not_before timestamptz NOT NULL DEFAULT now(),
    attempts integer NOT NULL DEFAULT 0,
    uncertain_attempts integer NOT NULL DEFAULT 0,
    lease_owner text,
    lease_until timestamptz,
    last_error text,
    sent_at timestamptz,
    message_id bigint,
    CONSTRAINT notifications_are_made_once UNIQUE (generation_id, kind, for_status),
    CONSTRAINT notifications_kind_is_known CHECK (kind IN ('ending', 'follow_up', 'correction')),
    CONSTRAINT notifications_channel_is_known CHECK (channel IN ('telegram')),
    CONSTRAINT notifications_state_is_known
        CHECK (state IN ('pending', 'leased', 'sent', 'uncertain', 'dead', 'skipped')),
    CONSTRAINT notifications_lease_iff_leased CHECK ((state = 'leased') = (lease_until IS NOT NULL AND lease_owner IS NOT NULL)),
    CONSTRAINT notifications_sent_at_iff_sent CHECK ((state = 'sent') = (sent_at IS NOT NULL)),
    CONSTRAINT notifications_have_a_chat_unless_skipped CHECK (chat_id IS NOT NULL OR state = 'skipped'),
    CONSTRAINT notifications_unsent_say_why CHECK (state NOT IN ('uncertain', 'dead', 'skipped') OR last_error IS NOT NULL)
);
CREATE INDEX notifications_due_idx ON runledger.notifications (not_before, id) WHERE state = 'pending';
CREATE INDEX notifications_leased_idx ON runledger.notifications (lease_until) WHERE state = 'leased';
COMMENT ON INDEX runledger.notifications_due_idx IS 'Notify leases what is due, oldest first.';
COMMENT ON INDEX runledger.notifications_leased_idx IS 'Leases whose holder died are found here.';
COMMENT ON TABLE runledger.notifications IS
    'The outbox: one row a message that somebody is to get. Written with the settlement, in its transaction; sent by the daemon afterwards.';
COMMENT ON COLUMN runledger.notifications.id IS 'A handle for people, and the order of making.';
COMMENT ON COLUMN runledger.notifications.generation_id IS 'What it tells of.';
COMMENT ON COLUMN runledger.notifications.run_id IS 'Its run.';
COMMENT ON COLUMN runledger.notifications.kind IS
    'ending: the run ended. follow_up: outputs came after an ending that had none. correction: the status that was told turned out to be another.';
COMMENT ON COLUMN runledger.notifications.for_status IS 'The status that a correction tells; empty for the others, of which there is one each.';
COMMENT ON COLUMN runledger.notifications.channel IS 'telegram; the only one built.';
COMMENT ON COLUMN runledger.notifications.bot IS 'Which of the configured bots sends it; default is the only one built.';
COMMENT ON COLUMN runledger.notifications.chat_id IS 'Telegram''s chat; negative for groups; NULL only where it was malformed and the message skipped.';
COMMENT ON COLUMN runledger.notifications.payload IS
    'What is to be told: {status, status_reason, duration_ms, cost_usd, cost_note, outputs: […]}, as settled.';
COMMENT ON COLUMN runledger.notifications.state IS
    'pending: to be sent. leased: a daemon is sending it. sent: Telegram took it. uncertain: it may have arrived, and is not tried again. dead: refused for good, or given up. skipped: not sent on purpose.';
COMMENT ON COLUMN runledger.notifications.created_at IS 'When the settlement made it.';
COMMENT ON COLUMN runledger.notifications.not_before IS 'Not sent before this moment: outputs_grace, or a retry''s delay.';
COMMENT ON COLUMN runledger.notifications.attempts IS 'How often sending was begun.';
COMMENT ON COLUMN runledger.notifications.uncertain_attempts IS
    'How many of them may have arrived though nobody confirmed it: from the first on, the text says that it may be a duplicate.';
COMMENT ON COLUMN runledger.notifications.lease_owner IS 'The daemon that is sending it; NULL unless leased.';
COMMENT ON COLUMN runledger.notifications.lease_until IS 'When another daemon may take it over; NULL unless leased.';
COMMENT ON COLUMN runledger.notifications.last_error IS 'What the last attempt met; NULL: nothing so far.';
COMMENT ON COLUMN runledger.notifications.sent_at IS 'When Telegram took it; NULL unless sent.';
COMMENT ON COLUMN runledger.notifications.message_id IS 'Telegram''s id of the (first) message; NULL unless sent.';
