-- The outbox: who is to be told what, written with the settlement, sent afterwards; and what Telegram has said about a
-- chat as a whole, so that every daemon knows it and a restart forgets none of it.
CREATE TABLE runledger.notifications (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    generation_id bigint,
    run_id text COLLATE "C",
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
    waits_since timestamptz NOT NULL DEFAULT now(),
    sending_at timestamptz,
    parts_sent integer NOT NULL DEFAULT 0,
    form text NOT NULL DEFAULT 'media',
    without_thread boolean NOT NULL DEFAULT false,
    fallbacks integer NOT NULL DEFAULT 0,
    refused_for_pace integer NOT NULL DEFAULT 0,
    logged_at timestamptz,
    recipient text COLLATE "C" NOT NULL DEFAULT '',
    without_buttons boolean NOT NULL DEFAULT false,
    webhook_id text,
    webhook_host text COLLATE "C",
    webhook_url text,
    answer_status integer,
    group_key text COLLATE "C",
    settlement_id bigint NOT NULL DEFAULT 0,
    CONSTRAINT notifications_are_made_once UNIQUE (generation_id, run_id, kind, for_status, recipient, settlement_id),
    CONSTRAINT notifications_kind_is_known CHECK (kind IN ('ending', 'follow_up', 'correction', 'settlement', 'progress', 'group')),
    CONSTRAINT notifications_channel_is_known CHECK (channel IN ('telegram', 'webhook')),
    CONSTRAINT notifications_state_is_known
        CHECK (state IN ('pending', 'leased', 'sent', 'logged', 'uncertain', 'dead', 'skipped', 'elsewhere')),
    CONSTRAINT notifications_lease_iff_leased CHECK ((state = 'leased') = (lease_until IS NOT NULL AND lease_owner IS NOT NULL)),
    CONSTRAINT notifications_sent_at_iff_sent CHECK ((state = 'sent') = (sent_at IS NOT NULL)),
    CONSTRAINT notifications_logged_have_logged_at CHECK (state <> 'logged' OR logged_at IS NOT NULL),
    CONSTRAINT notifications_have_a_chat_unless_skipped
        CHECK (chat_id IS NOT NULL OR state IN ('skipped', 'elsewhere') OR channel = 'webhook'),
    CONSTRAINT notifications_unsent_say_why CHECK (state NOT IN ('logged', 'uncertain', 'dead', 'skipped') OR last_error IS NOT NULL),
    CONSTRAINT notifications_are_marked_before_they_are_sent CHECK (state <> 'leased' OR sending_at IS NOT NULL),
    CONSTRAINT notifications_parts_sent_is_not_negative CHECK (parts_sent >= 0),
    CONSTRAINT notifications_form_is_known CHECK (form IN ('media', 'documents', 'text')),
    CONSTRAINT notifications_refusals_are_not_negative CHECK (fallbacks >= 0 AND refused_for_pace >= 0),
    CONSTRAINT notifications_id_and_host_iff_webhook
        CHECK ((channel = 'webhook') = (webhook_id IS NOT NULL) AND (channel = 'webhook') = (webhook_host IS NOT NULL)),
    CONSTRAINT notifications_to_a_chat_have_no_webhook_url CHECK (webhook_url IS NULL OR channel = 'webhook'),
    CONSTRAINT notifications_as_a_webhook_name_their_place
        CHECK (state NOT IN ('pending', 'leased') OR channel <> 'webhook' OR webhook_url IS NOT NULL
               OR webhook_host = '[webhooks] url'),
    CONSTRAINT notifications_as_a_webhook_have_no_chat
        CHECK (channel <> 'webhook' OR chat_id IS NULL AND recipient = '' AND settlement_id = 0),
    CONSTRAINT notifications_have_a_run_unless_of_a_group
        CHECK ((kind = 'group') = (generation_id IS NULL) AND (kind = 'group') = (run_id IS NULL)),
    CONSTRAINT notifications_of_a_group_are_webhooks_that_name_it
        CHECK (kind <> 'group' OR group_key IS NOT NULL AND channel = 'webhook')
);
CREATE INDEX notifications_due_idx ON runledger.notifications (not_before, id)
    WHERE state = 'pending' AND channel = 'telegram';
COMMENT ON INDEX runledger.notifications_due_idx IS 'Notify leases due rows, oldest first.';
CREATE INDEX notifications_leased_idx ON runledger.notifications (lease_until) WHERE state = 'leased';
COMMENT ON INDEX runledger.notifications_leased_idx IS 'Finds the leases of daemons that died.';
CREATE INDEX notifications_pending_chat_idx ON runledger.notifications (chat_id, id)
    WHERE state = 'pending' AND chat_id IS NOT NULL;
COMMENT ON INDEX runledger.notifications_pending_chat_idx IS
    'Notify goes from chat to chat and takes the first message of each, so that no chat delays the others.';
CREATE INDEX notifications_leased_chat_idx ON runledger.notifications (chat_id)
    WHERE state = 'leased' AND chat_id IS NOT NULL;
COMMENT ON INDEX runledger.notifications_leased_chat_idx IS 'A chat with a message on its way gets no other.';
CREATE INDEX notifications_waiting_idx ON runledger.notifications (waits_since)
    WHERE state = 'pending' AND channel = 'telegram';
COMMENT ON INDEX runledger.notifications_waiting_idx IS 'Finds rows that have waited past [telegram] not_after_seconds.';
CREATE INDEX notifications_webhook_due_idx ON runledger.notifications (webhook_host, not_before, id)
    WHERE state = 'pending' AND channel = 'webhook';
COMMENT ON INDEX runledger.notifications_webhook_due_idx IS
    'The sender of webhooks goes from host to host and takes what is due at each, so that no host delays the others.';
CREATE INDEX notifications_webhook_run_idx ON runledger.notifications (run_id, id)
    WHERE state IN ('pending', 'leased') AND channel = 'webhook';
COMMENT ON INDEX runledger.notifications_webhook_run_idx IS 'A webhook waits for the earlier ones about its run.';
CREATE INDEX notifications_webhook_generation_idx ON runledger.notifications (generation_id, id)
    WHERE state IN ('pending', 'leased') AND channel = 'webhook';
COMMENT ON INDEX runledger.notifications_webhook_generation_idx IS
    'A webhook waits for the earlier ones about its generation.';
CREATE INDEX notifications_webhook_group_idx ON runledger.notifications (group_key, id)
    WHERE state IN ('pending', 'leased') AND channel = 'webhook' AND group_key IS NOT NULL;
COMMENT ON INDEX runledger.notifications_webhook_group_idx IS
    'The webhook about a group''s end waits for the earlier ones about its members.';
CREATE UNIQUE INDEX notifications_groups_are_told_once ON runledger.notifications (group_key, for_status)
    WHERE kind = 'group';
COMMENT ON INDEX runledger.notifications_groups_are_told_once IS
    'Each end of a group has one row for each place. Forgetting finds what is about a group.';
CREATE INDEX notifications_webhook_waiting_idx ON runledger.notifications (waits_since)
    WHERE state = 'pending' AND channel = 'webhook';
COMMENT ON INDEX runledger.notifications_webhook_waiting_idx IS 'Finds rows that have waited past [webhooks] give_up_days.';
CREATE INDEX notifications_failed_idx ON runledger.notifications (created_at)
    WHERE state IN ('uncertain', 'dead', 'skipped');
COMMENT ON INDEX runledger.notifications_failed_idx IS
    'failed_notifications_v1 reads the few that reached nobody. Other indexes depend on state already, so it costs no HOT update.';
CREATE INDEX notifications_failed_chat_idx ON runledger.notifications (chat_id)
    WHERE state IN ('uncertain', 'dead', 'skipped');
COMMENT ON INDEX runledger.notifications_failed_chat_idx IS
    'Whether a chat that Telegram refuses is still somebody''s, which is asked while nobody else can add news.';
CREATE INDEX notifications_elsewhere_idx ON runledger.notifications (created_at) WHERE state = 'elsewhere';
COMMENT ON INDEX runledger.notifications_elsewhere_idx IS
    'The metrics count those of the last day. Empty where every record names Telegram.';
CREATE INDEX notifications_ended_idx ON runledger.notifications (created_at) WHERE state NOT IN ('pending', 'leased');
COMMENT ON INDEX runledger.notifications_ended_idx IS 'Retention takes the oldest notifications that are no longer to be sent.';
COMMENT ON TABLE runledger.notifications IS
    'The outbox: one row for each message. Written in the settlement''s transaction, or in the one that notices a group''s end; the daemon sends it afterwards.';
COMMENT ON COLUMN runledger.notifications.id IS 'A handle for people, and the order of creation.';
COMMENT ON COLUMN runledger.notifications.generation_id IS 'The generation that it is about; NULL: a group''s end.';
COMMENT ON COLUMN runledger.notifications.run_id IS 'Its run; NULL: a group''s end.';
COMMENT ON COLUMN runledger.notifications.kind IS
    'To a chat: ending: the run ended. follow_up: outputs came after an ending that had none. correction: the status in an earlier message turned out to be wrong. As a webhook: settlement: the run was settled, settled again, repriced, or its row reopened. progress: how the run gets on. group: all of a group have ended.';
COMMENT ON COLUMN runledger.notifications.for_status IS 'The status that a correction states; of a webhook the settlement (settlements.id), or the number of the group''s end, and where it goes; empty for the other kinds, of which each recipient gets one.';
COMMENT ON COLUMN runledger.notifications.channel IS 'telegram: a message to a chat. webhook: a signed POST to [webhooks] url or to metadata.webhookUrl.';
COMMENT ON COLUMN runledger.notifications.bot IS 'The configured bot that sends it; default is the only one so far.';
COMMENT ON COLUMN runledger.notifications.chat_id IS
    'Telegram''s chat; negative for groups; below -10^18 a number that stands for the name in recipient; NULL if the record names no chat there, and the message is skipped or elsewhere, and of a webhook.';
COMMENT ON COLUMN runledger.notifications.payload IS
    'The content, as settled; a message to a chat has that of the newest settlement when it is sent. To a chat: {status, status_reason, duration_ms, cost_usd, cost_note, outputs: […]}; message_thread_id and reply_to_message_id, its place in the chat; left_out, what of it metadata gives in vain; hints, the options that metadata asks for, or a text that says why they cannot be used; language, the reader''s. As a webhook: the body that is posted (docs/webhooks.md).';
COMMENT ON COLUMN runledger.notifications.state IS
    'pending: to be sent, not before not_before. leased: a daemon is sending it, and may have sent it. sent: Telegram accepted it, as message_id in chat_id; or the receiver of the webhook answered 2xx. logged: it was only written to the daemon''s log, because [telegram] mode is log. uncertain: it may have arrived, nobody confirmed it, and it is not sent again. dead: Telegram or the receiver refused it for good, or all attempts failed. skipped: not sent on purpose, last_error says why. elsewhere: the record names another platform than Telegram, which is in recipient; another channel tells it.';
COMMENT ON COLUMN runledger.notifications.created_at IS 'When the settlement created it; of a group''s end, when tell has noticed it.';
COMMENT ON COLUMN runledger.notifications.not_before IS 'Not sent before this moment: outputs_grace, or a retry''s delay.';
COMMENT ON COLUMN runledger.notifications.attempts IS 'Number of attempts to send it.';
COMMENT ON COLUMN runledger.notifications.uncertain_attempts IS
    'How many of them may have arrived although nobody confirmed it: after the first, the text says that it may be a duplicate.';
COMMENT ON COLUMN runledger.notifications.lease_owner IS 'The daemon that is sending it; NULL unless leased.';
COMMENT ON COLUMN runledger.notifications.lease_until IS 'When another daemon may take it over; NULL unless leased.';
COMMENT ON COLUMN runledger.notifications.last_error IS 'The error of the last attempt; NULL: none so far.';
COMMENT ON COLUMN runledger.notifications.sent_at IS 'When Telegram accepted it; NULL unless sent.';
COMMENT ON COLUMN runledger.notifications.message_id IS 'Telegram''s id of the (first) message; NULL unless sent.';
COMMENT ON COLUMN runledger.notifications.waits_since IS
    'The start of its waiting time: when it was created, or when an operator retried it. After [telegram] not_after_seconds it is skipped.';
COMMENT ON COLUMN runledger.notifications.sending_at IS
    'When the last attempt began, committed before its first call; NULL before the first. In state leased, the message may be on its way.';
COMMENT ON COLUMN runledger.notifications.parts_sent IS
    'Number of calls that Telegram has confirmed, for a message of several calls (more than ten pictures): the next attempt continues there.';
COMMENT ON COLUMN runledger.notifications.form IS
    'How the part after those is sent, whichever attempt sends it. media: as pictures, films and sound, or as files if the record asks for documents. documents: the other way round. text: as links. Telegram refused the forms before it.';
COMMENT ON COLUMN runledger.notifications.without_thread IS
    'true: Telegram knows no such thread in the chat, and the message is sent without it.';
COMMENT ON COLUMN runledger.notifications.without_buttons IS
    'true: Telegram has refused the message''s buttons, and it is sent without them.';
COMMENT ON COLUMN runledger.notifications.fallbacks IS
    'Number of calls for that part that Telegram answered with a reason to change its form, thread, buttons or chat, in all attempts. Bounded; an attempt that is given back does not reduce it.';
COMMENT ON COLUMN runledger.notifications.logged_at IS
    'When it was last written to the daemon''s log in place of being sent ([telegram] mode is log); NULL: never. It stays if the message is sent later.';
COMMENT ON COLUMN runledger.notifications.refused_for_pace IS
    'Number of 429 answers to that part in its form, in all attempts: an album becomes a text after a few.';
COMMENT ON COLUMN runledger.notifications.webhook_id IS
    'The header webhook-id of each attempt: the receiver knows a copy by it. Random, so that a ledger that is restored to an earlier point never gives one event''s id to another. NULL: not a webhook.';
COMMENT ON COLUMN runledger.notifications.webhook_host IS
    'Whose attempts are counted together: the host of webhook_url in lower case, or the words [webhooks] url. NULL: not a webhook.';
COMMENT ON COLUMN runledger.notifications.webhook_url IS
    'Where it is posted: metadata.webhookUrl. NULL: to [webhooks] url of the daemon''s configuration, or not a webhook.';
COMMENT ON COLUMN runledger.notifications.answer_status IS
    'The HTTP status of the last answer to a webhook; NULL: none came, or not a webhook.';
COMMENT ON COLUMN runledger.notifications.group_key IS
    'Of a webhook about a settlement, the group that its generation was in then; of one about a group''s end, the group. NULL: another kind, or no group.';
COMMENT ON COLUMN runledger.notifications.settlement_id IS
    'Of a correction the settlement that changed the status: a status can change more than once. 0: it is no correction.';

COMMENT ON COLUMN runledger.notifications.recipient IS
    'Whom the record names: a chat''s number, @channelname in lower case, or platform and the name of another. Of a skipped message, the key of metadata that names nobody. Empty: a webhook. The chat stays the same recipient if its number changes.';

CREATE TABLE runledger.telegram_chats (
    chat_id bigint PRIMARY KEY,
    migrated_to bigint,
    held_until timestamptz,
    last_error text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    refused_at timestamptz,
    CONSTRAINT telegram_chats_migrate_to_another CHECK (migrated_to <> chat_id)
);
COMMENT ON TABLE runledger.telegram_chats IS
    'Chats about which Telegram has said something that applies to later messages, too; most chats have no row. Written by the daemon.';
COMMENT ON COLUMN runledger.telegram_chats.chat_id IS 'Telegram''s id of the chat, as the application knows it.';
COMMENT ON COLUMN runledger.telegram_chats.migrated_to IS
    'The group''s id since it became a supergroup: messages go there. NULL: it has not moved.';
COMMENT ON COLUMN runledger.telegram_chats.held_until IS
    'After a 429 no daemon sends to the chat before this moment; NULL: there was no 429.';
COMMENT ON COLUMN runledger.telegram_chats.last_error IS 'What Telegram said.';
COMMENT ON COLUMN runledger.telegram_chats.changed_at IS 'When it said so.';
COMMENT ON COLUMN runledger.telegram_chats.refused_at IS
    'When Telegram last refused the chat for good, as a person who has blocked the bot; NULL: never. Later messages are tried all the same.';

CREATE TABLE runledger.progress_messages (
    run_id text COLLATE "C" PRIMARY KEY,
    generation_id bigint NOT NULL,
    chat_id bigint NOT NULL,
    message_id bigint,
    told_of timestamptz NOT NULL,
    called_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE runledger.progress_messages IS
    'The progress message of each run that has one, if [telegram] progress is on. The row is deleted with its message, after the message about the ending was sent. Written by the daemon.';
COMMENT ON COLUMN runledger.progress_messages.run_id IS 'The run that it is about.';
COMMENT ON COLUMN runledger.progress_messages.generation_id IS 'Its generation, by which the ending''s notification is found.';
COMMENT ON COLUMN runledger.progress_messages.chat_id IS 'Telegram''s chat.';
COMMENT ON COLUMN runledger.progress_messages.message_id IS
    'Telegram''s id of the message, to edit and delete it; NULL while it is being sent, and if the answer was lost: then the message stays.';
COMMENT ON COLUMN runledger.progress_messages.told_of IS 'runs.latest_at of the progress that was sent last: later progress is sent next.';
COMMENT ON COLUMN runledger.progress_messages.called_at IS
    'When the last call began: no daemon makes the next one before [telegram] progress_interval_ms have passed.';
