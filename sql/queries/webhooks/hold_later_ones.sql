-- $1 id of a webhook that was put off: the later ones about its run wait for it. So they are not looked at meanwhile.
UPDATE runledger.notifications AS later SET not_before = first.not_before
FROM runledger.notifications AS first
WHERE first.id = $1 AND first.state = 'pending' AND later.run_id = first.run_id AND later.id > first.id
  AND later.state = 'pending' AND later.channel = 'webhook'
  AND later.webhook_url IS NOT DISTINCT FROM first.webhook_url AND later.not_before < first.not_before
