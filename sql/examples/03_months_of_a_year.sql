-- What did each month cost, and how much of it could not be priced?
SELECT date_trunc('month', day)::date AS month, sum(cost_usd) AS cost_usd, sum(completed) AS completed,
       sum(unpriced) AS unpriced
FROM runledger.day_costs_v1
GROUP BY month
ORDER BY month;
