-- On which days of the year did more than 6 % fail?
SELECT day, generations, failed, round(100.0 * failed / generations, 1) AS failed_percent
FROM runledger.day_costs_v1
WHERE failed > 0.06 * generations
ORDER BY day;
