-- $1 id of a webhook that was put off: the later ones about its run wait for it, and the end of its group does. So they
-- are not looked at meanwhile. What another daemon is moving is left to that one.
UPDATE runledger.notifications AS later SET not_before = held.not_before
FROM (
    SELECT waits.id, first.not_before
    FROM runledger.notifications AS first
    CROSS JOIN LATERAL (
        SELECT n.id FROM runledger.notifications AS n
        WHERE n.run_id = first.run_id AND n.id > first.id AND n.state = 'pending' AND n.channel = 'webhook'
          AND n.webhook_url IS NOT DISTINCT FROM first.webhook_url AND n.not_before < first.not_before
        UNION ALL
        SELECT n.id FROM runledger.notifications AS n
        WHERE n.group_key = first.group_key AND n.id > first.id AND n.kind = 'group' AND n.state = 'pending'
          AND n.channel = 'webhook' AND n.webhook_url IS NOT DISTINCT FROM first.webhook_url
          AND n.not_before < first.not_before) AS waits
    WHERE first.id = $1 AND first.state = 'pending') AS held
WHERE later.id = (SELECT n.id FROM runledger.notifications AS n
                  WHERE n.id = held.id AND n.state = 'pending' FOR NO KEY UPDATE SKIP LOCKED)
