-- $1 bigint[] ids whose leases ran out and whose attempts are used up: each may have been sent.
UPDATE runledger.notifications AS n
SET state = 'uncertain', lease_owner = NULL, lease_until = NULL, uncertain_attempts = n.uncertain_attempts + 1,
    last_error = 'may have arrived, not tried again: its daemon ended while it was sending, in each of the attempts'
FROM (
    SELECT id FROM runledger.notifications
    WHERE id = ANY ($1::bigint[]) AND state = 'leased' AND lease_until < now()
    ORDER BY id
    FOR UPDATE SKIP LOCKED) AS expired
WHERE n.id = expired.id
RETURNING n.id
