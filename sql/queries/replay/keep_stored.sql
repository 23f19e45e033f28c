-- For the scratch schema, in whose place `runledger.` stands; "runledger" in quotes is the ledger itself. What the ledger
-- says at the moment of the replay, since it goes on changing.
CREATE TABLE runledger.replay_stored AS
SELECT r.run_id, stored.event_count = r.event_count AS is_whole, stored.terminal_status AS run_status,
       g.id AS generation_id, g.status, g.duration_ms, g.cost_usd, g.cost_note
FROM runledger.runs AS r
JOIN "runledger".runs AS stored ON stored.run_id = r.run_id
LEFT JOIN "runledger".generations AS g ON g.run_id = r.run_id
