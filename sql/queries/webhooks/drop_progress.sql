-- $1 id, $2 the daemon, $3 why, $4 the answer's status or NULL. Progress is not tried again: later progress is.
UPDATE runledger.notifications
SET state = 'skipped', last_error = $3, answer_status = $4::integer, lease_owner = NULL, lease_until = NULL
WHERE id = $1 AND state = 'leased' AND lease_owner = $2
