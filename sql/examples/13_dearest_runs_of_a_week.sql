-- Which twenty runs of the last week cost most?
SELECT generation_id, run_id, gpu, duration_ms, cost_usd, rate_amount, rate_unit
FROM runledger.run_costs_v1
WHERE response_timestamp > now() - interval '7 days' AND cost_usd IS NOT NULL
ORDER BY cost_usd DESC
LIMIT 20;
