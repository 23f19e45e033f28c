-- $1 bigint[] ids, $2 the daemon, $3 integer[] each answer's status. Returns the ids that the daemon has. A store that is
-- repeated after a lost answer writes nothing.
UPDATE runledger.notifications
SET state = 'sent', sent_at = now(), last_error = NULL,
    answer_status = ($3::integer[])[array_position($1::bigint[], id)], lease_owner = NULL, lease_until = NULL
WHERE id = ANY ($1::bigint[]) AND state = 'leased' AND lease_owner = $2
RETURNING id
