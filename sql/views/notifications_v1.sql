CREATE OR REPLACE VIEW runledger.notifications_v1 AS
SELECT n.id AS notification_id, n.generation_id, n.run_id, n.kind, n.for_status, n.chat_id, n.state, n.attempts,
       runledger.masked_links(n.last_error) AS last_error, n.created_at, n.waits_since, n.not_before, n.sent_at,
       n.logged_at, n.recipient, n.channel, n.webhook_host, n.answer_status, n.group_key AS group_id,
       g.application_id::text AS application_id
FROM runledger.notifications AS n
LEFT JOIN runledger.generations AS g ON g.id = n.generation_id;
COMMENT ON VIEW runledger.notifications_v1 IS
    'The outbox without its contents: each message, its state and its times. A condition on state finds what waits; failed_notifications_v1 has those that reached nobody.';
COMMENT ON COLUMN runledger.notifications_v1.notification_id IS 'The message''s handle.';
COMMENT ON COLUMN runledger.notifications_v1.generation_id IS 'The generation that it is about; NULL: a group''s end.';
COMMENT ON COLUMN runledger.notifications_v1.run_id IS 'Its run; NULL: a group''s end.';
COMMENT ON COLUMN runledger.notifications_v1.kind IS 'To a chat: ending, follow_up or correction. As a webhook: settlement, progress, or group: all of a group have ended.';
COMMENT ON COLUMN runledger.notifications_v1.for_status IS 'The status that a correction states; of a webhook the settlement, or the number of the group''s end, and where it goes; empty for the other kinds.';
COMMENT ON COLUMN runledger.notifications_v1.chat_id IS 'The chat; negative for groups; below -10^18 a number that stands for a @channelname; NULL: the record names no chat there, or it is a webhook.';
COMMENT ON COLUMN runledger.notifications_v1.state IS
    'pending: it waits. leased: a daemon sends it. sent, logged, uncertain, dead, skipped, elsewhere: as in telegram.md, "The states of a notification".';
COMMENT ON COLUMN runledger.notifications_v1.attempts IS 'Number of attempts to send it.';
COMMENT ON COLUMN runledger.notifications_v1.last_error IS 'The error of the last attempt, its links masked; NULL: none.';
COMMENT ON COLUMN runledger.notifications_v1.created_at IS 'When the settlement created it, or the end of a group was noticed.';
COMMENT ON COLUMN runledger.notifications_v1.waits_since IS 'Since when it waits to be sent: created_at, unless an operator had it sent again.';
COMMENT ON COLUMN runledger.notifications_v1.not_before IS 'It is not sent before this moment.';
COMMENT ON COLUMN runledger.notifications_v1.sent_at IS 'When Telegram, or the receiver of the webhook, accepted it; NULL: not sent.';
COMMENT ON COLUMN runledger.notifications_v1.logged_at IS 'When it was written to the log instead; NULL: it was not.';
COMMENT ON COLUMN runledger.notifications_v1.recipient IS
    'Whom the record names: a chat''s number, @channelname, or platform and the name of another; of a skipped message, the key of metadata that names nobody; empty: it is a webhook.';
COMMENT ON COLUMN runledger.notifications_v1.channel IS 'telegram or webhook.';
COMMENT ON COLUMN runledger.notifications_v1.webhook_host IS
    'The host that a webhook goes to, or the words [webhooks] url; NULL: not a webhook.';
COMMENT ON COLUMN runledger.notifications_v1.answer_status IS
    'The HTTP status of the last answer to a webhook; NULL: none came, or not a webhook.';
COMMENT ON COLUMN runledger.notifications_v1.group_id IS
    'The group whose end a webhook is about, or that the generation of a webhook''s settlement was in; NULL: another kind, or no group.';
COMMENT ON COLUMN runledger.notifications_v1.application_id IS
    'The application''s own key, if its table was adopted with a key that is no number; NULL: generation_id is its key, or the row was deleted.';
