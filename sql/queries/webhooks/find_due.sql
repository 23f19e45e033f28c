-- $1 text after this host, $2 text up to this host, $3 how many at most, $4 how many at most on their way to one host,
-- $5 after how many failures a host gets one at a time.
-- Looks and locks nothing. Goes from host to host and takes what is due at each, the longest due first, so that a host
-- costs the others nothing, whatever waits for it. A webhook waits until the earlier ones to the same place about its
-- run, and about its generation, were accepted or given up; not for progress that waits, too. One about a group's end
-- waits for those about its members, and about its earlier ends. These are asked for row by row: what waits may be a
-- lot.
WITH RECURSIVE hosts AS (
    (SELECT webhook_host FROM runledger.notifications
     WHERE state = 'pending' AND channel = 'webhook' AND webhook_host > $1::text ORDER BY webhook_host LIMIT 1)
    UNION ALL
    SELECT (SELECT n.webhook_host FROM runledger.notifications AS n
            WHERE n.state = 'pending' AND n.channel = 'webhook' AND n.webhook_host > hosts.webhook_host
            ORDER BY n.webhook_host LIMIT 1)
    FROM hosts WHERE hosts.webhook_host < $2::text)
SELECT due.id, hosts.webhook_host
FROM hosts
LEFT JOIN runledger.webhook_hosts AS failing ON failing.host = hosts.webhook_host
CROSS JOIN LATERAL (
    SELECT greatest(0, CASE WHEN failing.failures >= $5::integer THEN 1 ELSE $4::integer END - count(*)) AS room
    FROM runledger.notifications AS leased
    WHERE leased.state = 'leased' AND leased.channel = 'webhook' AND leased.webhook_host = hosts.webhook_host) AS free
CROSS JOIN LATERAL (
    SELECT n.id FROM runledger.notifications AS n
    WHERE n.state = 'pending' AND n.channel = 'webhook' AND n.webhook_host = hosts.webhook_host
      AND n.not_before <= now()
      AND (SELECT true FROM runledger.notifications AS earlier
           WHERE earlier.state IN ('pending', 'leased') AND earlier.channel = 'webhook' AND earlier.run_id = n.run_id
             AND earlier.id < n.id AND (earlier.kind <> 'progress' OR earlier.state = 'leased')
             AND earlier.webhook_url IS NOT DISTINCT FROM n.webhook_url LIMIT 1) IS NOT TRUE
      AND (SELECT true FROM runledger.notifications AS earlier
           WHERE earlier.state IN ('pending', 'leased') AND earlier.channel = 'webhook'
             AND earlier.generation_id = n.generation_id AND earlier.id < n.id
             AND (earlier.kind <> 'progress' OR earlier.state = 'leased')
             AND earlier.webhook_url IS NOT DISTINCT FROM n.webhook_url LIMIT 1) IS NOT TRUE
      AND (n.kind <> 'group'
           OR (SELECT true FROM runledger.notifications AS earlier
               WHERE earlier.state IN ('pending', 'leased') AND earlier.channel = 'webhook'
                 AND earlier.group_key = n.group_key AND earlier.id < n.id
                 AND earlier.webhook_url IS NOT DISTINCT FROM n.webhook_url LIMIT 1) IS NOT TRUE)
    ORDER BY n.not_before, n.id LIMIT free.room) AS due
WHERE hosts.webhook_host <= $2::text AND coalesce(failing.closed_until <= now(), true)
LIMIT $3
