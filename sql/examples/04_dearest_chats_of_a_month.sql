-- Which twenty chats cost most in the last thirty days?
SELECT telegram_chat_id, sum(cost_usd) AS cost_usd, sum(completed) AS completed, sum(unpriced) AS unpriced
FROM runledger.chat_costs_v1
WHERE day > current_date - 30
GROUP BY telegram_chat_id
ORDER BY cost_usd DESC NULLS LAST
LIMIT 20;
