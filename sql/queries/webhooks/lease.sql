-- $1 bigint[] ids from find_expired and find_due, $2 the daemon, $3 lease in milliseconds. Another daemon may have been
-- faster: rows that it has, or is taking, are skipped.
UPDATE runledger.notifications AS n
SET state = 'leased', attempts = n.attempts + 1, lease_owner = $2,
    lease_until = now() + $3::bigint * interval '1 millisecond', sending_at = now()
FROM (
    SELECT id FROM runledger.notifications
    WHERE id = ANY ($1::bigint[])
      AND (state = 'pending' AND not_before <= now() OR state = 'leased' AND lease_until < now())
    ORDER BY id
    FOR UPDATE SKIP LOCKED) AS due
WHERE n.id = due.id
RETURNING n.id, n.run_id, n.kind, n.group_key,
    n.kind = 'progress' AND (SELECT r.terminal_status IS NOT NULL FROM runledger.runs AS r WHERE r.run_id = n.run_id)
        AS is_late, n.webhook_id, n.webhook_host, n.webhook_url, n.payload::text AS payload, n.attempts,
    (extract(epoch FROM now() - n.created_at) * 1000)::bigint AS age_ms
