-- $1 text[] runs. Their events, by the index on run_id.
SELECT e.run_id, e.body FROM runledger.webhook_events AS e WHERE e.run_id = ANY ($1::text[])
