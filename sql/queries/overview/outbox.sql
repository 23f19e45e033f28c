-- $1 integer: how many of a state are counted at most. Given up: within a day.
SELECT (SELECT count(*) FROM (SELECT FROM runledger.notifications_v1 WHERE state = 'pending' LIMIT $1::integer) AS n)
           AS pending,
       (SELECT count(*) FROM (SELECT FROM runledger.notifications_v1 WHERE state = 'leased' LIMIT $1::integer) AS n)
           AS leased,
       (SELECT count(*) FROM (SELECT FROM runledger.failed_notifications_v1
                              WHERE state = 'dead' AND created_at > now() - interval '1 day' LIMIT $1::integer) AS n)
           AS dead,
       (SELECT count(*) FROM (SELECT FROM runledger.failed_notifications_v1
                              WHERE state = 'uncertain' AND created_at > now() - interval '1 day'
                              LIMIT $1::integer) AS n) AS uncertain,
       coalesce((SELECT extract(epoch FROM now() - min(waits_since)) FROM runledger.notifications_v1
                 WHERE state = 'pending'), 0)::bigint AS oldest_seconds
