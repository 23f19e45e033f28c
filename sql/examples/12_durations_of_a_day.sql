-- How long did the last day's successes take: half, nineteen of twenty, the longest?
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY duration_ms) AS median_ms,
       percentile_disc(0.95) WITHIN GROUP (ORDER BY duration_ms) AS p95_ms, max(duration_ms) AS longest_ms
FROM runledger.run_costs_v1
WHERE status = 'completed' AND response_timestamp > now() - interval '1 day';
