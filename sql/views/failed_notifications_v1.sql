CREATE OR REPLACE VIEW runledger.failed_notifications_v1 AS
SELECT n.id AS notification_id, n.generation_id, n.run_id, n.kind, n.chat_id, n.state, n.attempts,
       runledger.masked_links(n.last_error) AS last_error,
       n.created_at, n.recipient, n.channel, n.webhook_host, n.group_key AS group_id,
       g.application_id::text AS application_id
FROM runledger.notifications AS n
LEFT JOIN runledger.generations AS g ON g.id = n.generation_id
WHERE n.state IN ('uncertain', 'dead', 'skipped');
COMMENT ON VIEW runledger.failed_notifications_v1 IS 'Messages that reached nobody, or may not have, and why. Not those that were only logged, because of [telegram] mode.';
COMMENT ON COLUMN runledger.failed_notifications_v1.notification_id IS 'The message''s handle.';
COMMENT ON COLUMN runledger.failed_notifications_v1.generation_id IS 'The generation that it was about; NULL: a group''s end.';
COMMENT ON COLUMN runledger.failed_notifications_v1.run_id IS 'Its run; NULL: a group''s end.';
COMMENT ON COLUMN runledger.failed_notifications_v1.kind IS 'The kind of message: ending, follow_up or correction; settlement, progress or group: a webhook.';
COMMENT ON COLUMN runledger.failed_notifications_v1.chat_id IS 'The chat that it was for; negative for groups; below -10^18 a number that stands for a @channelname; NULL: the record names no chat there, or it is a webhook.';
COMMENT ON COLUMN runledger.failed_notifications_v1.state IS
    'uncertain: it may have arrived. dead: refused for good, or given up. skipped: not sent on purpose.';
COMMENT ON COLUMN runledger.failed_notifications_v1.attempts IS 'Number of attempts to send it.';
COMMENT ON COLUMN runledger.failed_notifications_v1.last_error IS 'The error of the last attempt, its links masked.';
COMMENT ON COLUMN runledger.failed_notifications_v1.created_at IS 'When the settlement created it, or the end of a group was noticed.';
COMMENT ON COLUMN runledger.failed_notifications_v1.recipient IS
    'Whom the record names: a chat''s number, @channelname, or platform and the name of another; of a skipped message, the key of metadata that names nobody; empty: it is a webhook.';
COMMENT ON COLUMN runledger.failed_notifications_v1.channel IS 'telegram or webhook.';
COMMENT ON COLUMN runledger.failed_notifications_v1.webhook_host IS
    'The host that a webhook was for, or the words [webhooks] url; NULL: not a webhook.';
COMMENT ON COLUMN runledger.failed_notifications_v1.group_id IS
    'The group whose end a webhook was about, or that the generation of a webhook''s settlement was in; NULL: another kind, or no group.';
COMMENT ON COLUMN runledger.failed_notifications_v1.application_id IS
    'The application''s own key, if its table was adopted with a key that is no number; NULL: generation_id is its key, or the row was deleted.';
