-- How many hosts get nothing now.
SELECT count(*) FROM runledger.webhook_hosts WHERE closed_until > now()
