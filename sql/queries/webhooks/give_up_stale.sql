-- $1 seconds that a webhook may wait, $2 how many at most. `runledger outbox retry` sends them again.
UPDATE runledger.notifications AS n
SET state = 'dead', last_error = concat_ws(': ', 'given up after [webhooks] give_up_days', n.last_error)
FROM (
    SELECT id FROM runledger.notifications
    WHERE state = 'pending' AND channel = 'webhook' AND waits_since < now() - $1::bigint * interval '1 second'
    ORDER BY waits_since LIMIT $2
    FOR UPDATE SKIP LOCKED) AS stale
WHERE n.id = stale.id
RETURNING n.id
