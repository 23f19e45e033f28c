-- $1 the host: it has accepted a webhook. That ends its failures; but what it has asked for since that webhook was sent
-- stands. Returns the failures that it had.
WITH known AS (
    SELECT host, failures, asked_until > now() IS TRUE AS has_asked
    FROM runledger.webhook_hosts WHERE host = $1::text FOR UPDATE),
kept AS (
    UPDATE runledger.webhook_hosts AS h SET failures = 0, closed_until = h.asked_until
    FROM known WHERE h.host = known.host AND known.has_asked),
gone AS (
    DELETE FROM runledger.webhook_hosts AS h USING known WHERE h.host = known.host AND NOT known.has_asked)
SELECT failures FROM known
