-- What did each of the last thirty days cost?
SELECT day, cost_usd, completed, failed, cancelled, unpriced
FROM runledger.day_costs_v1
WHERE day > current_date - 30
ORDER BY day;
