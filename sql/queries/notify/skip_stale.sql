-- $1 milliseconds that a notification may wait, $2 how many at most. Nobody wants such a message any more. One that may
-- have arrived does not become skipped.
UPDATE runledger.notifications AS n
SET state = CASE WHEN n.uncertain_attempts > 0 OR n.parts_sent > 0 THEN 'uncertain' ELSE 'skipped' END,
    last_error = concat_ws(': ', 'waited past not_after', n.last_error)
FROM (
    SELECT id FROM runledger.notifications
    WHERE state = 'pending' AND waits_since < now() - $1::bigint * interval '1 millisecond'
      AND channel = 'telegram' AND bot = 'default'
    ORDER BY waits_since LIMIT $2
    FOR UPDATE SKIP LOCKED) AS stale
WHERE n.id = stale.id
RETURNING n.state
