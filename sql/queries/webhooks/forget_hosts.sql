-- $1 text a host whose breaker begins anew, since the operator has changed something; empty: none. Others are forgotten when nothing has
-- been sent to them for long.
DELETE FROM runledger.webhook_hosts WHERE host = $1::text OR changed_at < now() - interval '30 days'
