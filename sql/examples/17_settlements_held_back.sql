-- What does the application's own lock, trigger or constraint keep from being settled?
SELECT run_id, queued_at, attempts, last_error
FROM runledger.unsettled_v1
WHERE last_error IS NOT NULL
ORDER BY queued_at;
