-- For the scratch schema, whose name replaces `runledger.`; "runledger" in quotes is the ledger itself. The rows as
-- they stood before their first settlement.
WITH imported AS (
    INSERT INTO runledger.imported_documents
    SELECT d.* FROM "runledger".imported_documents AS d
    JOIN "runledger".generations AS g ON g.id = d.generation_id
    JOIN runledger.runs AS r ON r.run_id = g.run_id
)
INSERT INTO runledger.generations (
    id, metadata, request_timestamp, request_payload, status, duration_ms, cost_usd, response_timestamp)
SELECT g.id, g.metadata, g.request_timestamp, g.request_payload, coalesce(first.before ->> 'status', g.status),
       (first.before ->> 'duration_ms')::numeric, (first.before ->> 'cost_usd')::numeric,
       (first.before ->> 'response_timestamp')::timestamptz
FROM "runledger".generations AS g
JOIN runledger.runs AS r ON r.run_id = g.run_id
LEFT JOIN LATERAL (
    SELECT s.before FROM "runledger".settlements AS s
    WHERE s.generation_id = g.id AND NOT s.row_is_gone ORDER BY s.id LIMIT 1) AS first ON true
