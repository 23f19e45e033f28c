-- $1 bigint[] chats that must wait, $2 how many of each kind at most.
-- Looks and locks nothing. First come leases that have run out: their daemon died, and the message may have been sent.
-- A notification waits for the earlier ones of its generation, so that a correction never overtakes the ending.
(SELECT n.id, n.chat_id, true AS is_expired, n.attempts
 FROM runledger.notifications AS n
 WHERE n.state = 'leased' AND n.lease_until < now() AND n.channel = 'telegram' AND n.bot = 'default'
   AND n.chat_id <> ALL ($1::bigint[])
 ORDER BY n.lease_until, n.id LIMIT $2)
UNION ALL
(SELECT n.id, n.chat_id, false, n.attempts
 FROM runledger.notifications AS n
 WHERE n.state = 'pending' AND n.not_before <= now() AND n.channel = 'telegram' AND n.bot = 'default'
   AND n.chat_id <> ALL ($1::bigint[])
   AND NOT EXISTS (
       SELECT FROM runledger.notifications AS earlier
       WHERE earlier.generation_id = n.generation_id AND earlier.id < n.id AND earlier.state IN ('pending', 'leased'))
 ORDER BY n.not_before, n.id LIMIT $2)
