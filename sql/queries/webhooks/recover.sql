-- $1 the daemon, $2 bigint[] ids that it knows it holds.
-- After a COMMIT whose outcome is unknown the table may say that the daemon holds more: those were never sent.
UPDATE runledger.notifications
SET state = 'pending', attempts = greatest(attempts - 1, 0), lease_owner = NULL, lease_until = NULL
WHERE state = 'leased' AND channel = 'webhook' AND lease_owner = $1 AND id <> ALL ($2::bigint[])
