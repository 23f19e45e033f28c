-- Why did messages of the last week not arrive?
SELECT state, last_error, count(*) AS messages, count(DISTINCT chat_id) AS chats
FROM runledger.failed_notifications_v1
WHERE created_at > now() - interval '7 days'
GROUP BY state, last_error
ORDER BY messages DESC;
