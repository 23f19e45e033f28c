-- How long did the last day's runs wait, hour by hour, from the application's request to the first running?
SELECT date_trunc('hour', request_timestamp) AS hour, count(*) AS runs,
       percentile_disc(0.5) WITHIN GROUP (ORDER BY running_at - request_timestamp) AS median_wait,
       max(running_at - request_timestamp) AS longest_wait
FROM runledger.run_costs_v1
WHERE response_timestamp > now() - interval '1 day' AND running_at IS NOT NULL
GROUP BY hour
ORDER BY hour;
