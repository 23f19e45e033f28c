-- The outbox by state, for the metrics; looks and locks nothing. Looked at are the 10,000 messages that have waited longest,
-- 10,000 that are leased, and of those that reached nobody the 10,000 latest of the last day, and the 10,000 oldest. Up to
-- 10,000 of the last day are another platform's. Messages to chats alone, except those whose names begin with webhook.
WITH waiting AS MATERIALIZED (
    SELECT waits_since, last_error FROM runledger.notifications
    WHERE state = 'pending' AND channel = 'telegram' ORDER BY waits_since LIMIT 10000
),
webhooks_waiting AS MATERIALIZED (
    SELECT waits_since, last_error FROM runledger.notifications
    WHERE state = 'pending' AND channel = 'webhook' ORDER BY waits_since LIMIT 10000
),
failed_lately AS MATERIALIZED (
    SELECT state, channel FROM runledger.notifications
    WHERE state IN ('uncertain', 'dead', 'skipped') AND created_at > now() - interval '1 day'
    ORDER BY created_at DESC LIMIT 10000
),
failed_first AS MATERIALIZED (
    SELECT state, created_at FROM runledger.notifications
    WHERE state IN ('uncertain', 'dead', 'skipped') AND channel = 'telegram' ORDER BY created_at LIMIT 10000
)
SELECT (SELECT count(*) FROM waiting WHERE last_error IS NULL) AS pending,
       (SELECT count(*) FROM waiting WHERE last_error IS NOT NULL) AS retrying,
       (SELECT count(*) FROM (SELECT FROM runledger.notifications
                             WHERE state = 'leased' AND channel = 'telegram' LIMIT 10000) AS sending)
           AS leased,
       (SELECT count(*) FROM failed_lately WHERE state = 'dead' AND channel = 'telegram') AS dead,
       (SELECT count(*) FROM failed_lately WHERE state = 'uncertain' AND channel = 'telegram') AS uncertain,
       (SELECT count(*) FROM failed_lately WHERE state = 'skipped' AND channel = 'telegram') AS skipped,
       (SELECT count(*) FROM (SELECT FROM runledger.notifications
                              WHERE state = 'elsewhere' AND created_at > now() - interval '1 day' LIMIT 10000) AS n)
           AS elsewhere,
       coalesce((SELECT extract(epoch FROM now() - min(waits_since)) FROM waiting), 0)::bigint
           AS oldest_pending_seconds,
       (SELECT count(*) FROM webhooks_waiting WHERE last_error IS NULL) AS webhooks_pending,
       (SELECT count(*) FROM webhooks_waiting WHERE last_error IS NOT NULL) AS webhooks_retrying,
       (SELECT count(*) FROM failed_lately WHERE state = 'dead' AND channel = 'webhook') AS webhooks_dead,
       (SELECT count(*) FROM failed_lately WHERE state = 'skipped' AND channel = 'webhook') AS webhooks_skipped,
       coalesce((SELECT extract(epoch FROM now() - min(waits_since)) FROM webhooks_waiting), 0)::bigint
           AS webhooks_oldest_seconds,
       coalesce((SELECT extract(epoch FROM now() - min(created_at)) FROM failed_first WHERE state = 'dead'), 0)::bigint
           AS oldest_dead_seconds
