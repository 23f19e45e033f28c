-- For the scratch schema, whose name replaces `runledger.`; "runledger" in quotes is the ledger itself. The ledger's
-- values at the moment of the replay, because it goes on changing.
CREATE TABLE runledger.replay_stored AS
SELECT r.run_id, stored.event_count = r.event_count AS is_whole, stored.terminal_status AS run_status,
       g.id AS generation_id, g.application_id::text AS application_id, g.status, g.duration_ms, g.cost_usd, g.cost_note
FROM runledger.runs AS r
JOIN "runledger".runs AS stored ON stored.run_id = r.run_id
LEFT JOIN "runledger".generations AS g ON g.run_id = r.run_id
