-- The UTC days of applied_at that have a partition, the newest first, by the partitions' names, so that none is locked; and
-- those of the DEFAULT partition, which is empty unless a day had no partition of its own.
SELECT to_char(known.day, 'YYYY-MM-DD') AS day, to_char(known.day + 1, 'YYYY-MM-DD') AS next_day
FROM (
    SELECT to_date(right(c.relname, 8), 'YYYYMMDD') AS day
    FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'runledger.webhook_events'::regclass AND c.relname ~ '^webhook_events_[0-9]{8}$'
    UNION
    SELECT (applied_at AT TIME ZONE 'UTC')::date FROM runledger.webhook_events_default) AS known
WHERE known.day <= (now() AT TIME ZONE 'UTC')::date
ORDER BY known.day DESC
