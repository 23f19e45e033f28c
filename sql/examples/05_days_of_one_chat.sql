-- What has one chat cost, day by day, ever?
SELECT day, completed, cost_usd, unpriced
FROM runledger.chat_costs_v1
WHERE telegram_chat_id = 100042
ORDER BY day;
