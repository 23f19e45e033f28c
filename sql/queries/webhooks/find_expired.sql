-- $1 how many at most. Looks and locks nothing: leases that have run out. Their daemon died, and the webhook may have
-- arrived; its id tells the receiver.
SELECT id FROM runledger.notifications
WHERE state = 'leased' AND channel = 'webhook' AND lease_until < now()
ORDER BY lease_until, id LIMIT $1
