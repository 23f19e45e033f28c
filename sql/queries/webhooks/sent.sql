-- $1 id, $2 the daemon, $3 the answer's status. A store that is repeated after a lost answer writes nothing.
UPDATE runledger.notifications
SET state = 'sent', sent_at = now(), last_error = NULL, answer_status = $3::integer, lease_owner = NULL,
    lease_until = NULL
WHERE id = $1 AND state = 'leased' AND lease_owner = $2
