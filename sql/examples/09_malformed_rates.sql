-- Whose rate did the application write wrongly of late? Mend metadata.costRate, and they are priced.
SELECT generation_id, run_id, cost_note, response_timestamp
FROM runledger.unpriced_generations_v1
WHERE cost_note = 'rate_malformed'
ORDER BY response_timestamp DESC
LIMIT 100;
