-- $1 id, $2 the daemon, $3 dead, uncertain or skipped, $4 attempts that may have arrived, $5 why.
UPDATE runledger.notifications
SET state = $3, uncertain_attempts = uncertain_attempts + $4::integer, last_error = $5,
    lease_owner = NULL, lease_until = NULL
WHERE id = $1 AND state = 'leased' AND lease_owner = $2
