-- $1 integer: how many of a state are counted at most. Given up: within a day. Messages to chats, except those whose
-- names begin with webhooks.
SELECT (SELECT count(*) FROM (SELECT FROM runledger.notifications_v1
                              WHERE state = 'pending' AND channel = 'telegram' LIMIT $1::integer) AS n) AS pending,
       (SELECT count(*) FROM (SELECT FROM runledger.notifications_v1
                              WHERE state = 'leased' AND channel = 'telegram' LIMIT $1::integer) AS n) AS leased,
       (SELECT count(*) FROM (SELECT FROM runledger.failed_notifications_v1
                              WHERE state = 'dead' AND channel = 'telegram'
                                    AND created_at > now() - interval '1 day' LIMIT $1::integer) AS n) AS dead,
       (SELECT count(*) FROM (SELECT FROM runledger.failed_notifications_v1
                              WHERE state = 'uncertain' AND channel = 'telegram'
                                    AND created_at > now() - interval '1 day' LIMIT $1::integer) AS n) AS uncertain,
       coalesce((SELECT extract(epoch FROM now() - min(waits_since)) FROM runledger.notifications_v1
                 WHERE state = 'pending' AND channel = 'telegram'), 0)::bigint AS oldest_seconds,
       (SELECT count(*) FROM (SELECT FROM runledger.notifications_v1
                              WHERE state = 'pending' AND channel = 'webhook' LIMIT $1::integer) AS n)
           AS webhooks_pending,
       (SELECT count(*) FROM (SELECT FROM runledger.notifications_v1
                              WHERE state = 'leased' AND channel = 'webhook' LIMIT $1::integer) AS n)
           AS webhooks_leased,
       (SELECT count(*) FROM (SELECT FROM runledger.failed_notifications_v1
                              WHERE state = 'dead' AND channel = 'webhook'
                                    AND created_at > now() - interval '1 day' LIMIT $1::integer) AS n)
           AS webhooks_dead,
       coalesce((SELECT extract(epoch FROM now() - min(waits_since)) FROM runledger.notifications_v1
                 WHERE state = 'pending' AND channel = 'webhook'), 0)::bigint AS webhooks_oldest_seconds
