-- What did each GPU cost in the last thirty days, and what did an hour of it come to?
SELECT gpu, sum(cost_usd) AS cost_usd, round(sum(duration_ms) / 3600000, 1) AS hours,
       round(sum(cost_usd) * 3600000 / nullif(sum(duration_ms), 0), 4) AS usd_per_hour, sum(unpriced) AS unpriced
FROM runledger.gpu_costs_v1
WHERE day > current_date - 30
GROUP BY gpu
ORDER BY cost_usd DESC NULLS LAST;
