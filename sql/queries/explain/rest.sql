-- $1 text run. The run's entries in the queue and in quarantine.
SELECT (SELECT count(*) FROM runledger.settle_queue WHERE run_id = $1) AS queued,
       (SELECT left(max(last_error), 300) FROM runledger.settle_queue WHERE run_id = $1) AS last_error,
       (SELECT count(*) FROM runledger.quarantine WHERE run_id = $1) AS quarantined,
       (SELECT count(*) FROM runledger.quarantine WHERE run_id = $1 AND reason LIKE 'output\_masked:%') AS masked
