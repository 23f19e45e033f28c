-- What was changed within the last day after it had been settled, and why? (Reads a table: for the owner.)
SELECT s.generation_id, s.settled_at, s.outcome, s.why, s.before ->> 'cost_usd' AS cost_usd_before, s.cost_usd
FROM runledger.settlements AS s
WHERE s.settled_at > now() - interval '1 day' AND s.outcome <> 'settled'
ORDER BY s.settled_at DESC
LIMIT 100;
