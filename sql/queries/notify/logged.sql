-- $1 id, $2 the daemon, $3 why it was not sent. In mode log nobody has the message: `outbox send-logged` sends it.
UPDATE runledger.notifications
SET state = 'logged', logged_at = now(), last_error = $3, lease_owner = NULL, lease_until = NULL
WHERE id = $1 AND state = 'leased' AND lease_owner = $2
