-- The statement of the last calendar month, chat by chat: what to charge on.
SELECT telegram_chat_id, sum(generations) AS generations, sum(completed) AS completed, sum(cost_usd) AS cost_usd,
       sum(unpriced) AS unpriced
FROM runledger.chat_costs_v1
WHERE day >= (date_trunc('month', current_date) - interval '1 month')::date
  AND day < date_trunc('month', current_date)::date
GROUP BY telegram_chat_id
ORDER BY telegram_chat_id;
