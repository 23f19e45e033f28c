-- About how much is missing from the last thirty days' sum, were the unpriced like the others of their GPU?
SELECT gpu, sum(unpriced) AS unpriced, round(sum(unpriced) * sum(cost_usd) / nullif(sum(priced), 0), 2) AS likely_usd
FROM runledger.gpu_costs_v1
WHERE day > current_date - 30
GROUP BY gpu
HAVING sum(unpriced) > 0
ORDER BY likely_usd DESC NULLS LAST;
