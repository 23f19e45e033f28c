-- Which runs of the last day has the application no record of?
SELECT run_id, status, first_received_at, event_count
FROM runledger.runs_without_generation_v1
WHERE first_received_at > now() - interval '1 day'
ORDER BY first_received_at;
