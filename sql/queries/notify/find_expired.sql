-- $1 bigint[] chats that must wait, $2 how many at most.
-- Looks and locks nothing: leases that have run out. Their daemon died, and the message may have been sent.
SELECT n.id, n.chat_id, n.attempts
FROM runledger.notifications AS n
WHERE n.state = 'leased' AND n.lease_until < now() AND n.channel = 'telegram' AND n.bot = 'default'
  AND n.chat_id <> ALL ($1::bigint[])
ORDER BY n.lease_until, n.id LIMIT $2
