-- $1 the host: it has accepted a webhook.
DELETE FROM runledger.webhook_hosts WHERE host = $1::text RETURNING failures
