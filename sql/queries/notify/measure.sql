-- $1 how many rows are counted at most. What waits and what was given up, for the metrics; looks and locks nothing.
SELECT (SELECT count(*) FROM (
            SELECT FROM runledger.notifications
            WHERE state = 'dead' AND created_at > now() - interval '1 day' LIMIT $1) AS dead) AS dead,
       (SELECT count(*) FILTER (WHERE oldest.last_error IS NOT NULL) FROM (
            SELECT last_error FROM runledger.notifications
            WHERE state = 'pending' ORDER BY waits_since LIMIT $1) AS oldest) AS retrying,
       coalesce((SELECT extract(epoch FROM now() - min(waits_since)) FROM runledger.notifications
                 WHERE state = 'pending'), 0)::bigint AS oldest_seconds
