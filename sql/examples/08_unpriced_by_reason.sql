-- Why could successes of the last thirty days not be priced?
SELECT cost_note, count(*) AS generations, min(response_timestamp) AS earliest, max(response_timestamp) AS latest
FROM runledger.unpriced_generations_v1
WHERE status = 'completed' AND response_timestamp > now() - interval '30 days'
GROUP BY cost_note
ORDER BY generations DESC;
