-- For the scratch schema, whose name replaces `runledger.`; "runledger" in quotes is the ledger itself. The rows as
-- they stood before their first settlement.
INSERT INTO runledger.generations (id, metadata, request_timestamp, request_payload, status)
SELECT g.id, g.metadata, g.request_timestamp, g.request_payload,
       coalesce((SELECT s.before ->> 'status' FROM "runledger".settlements AS s
                 WHERE s.generation_id = g.id ORDER BY s.id LIMIT 1), g.status)
FROM "runledger".generations AS g
JOIN runledger.runs AS r ON r.run_id = g.run_id
