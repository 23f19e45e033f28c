-- $1 text[] runs. What apply has made of each, and whether settle has taken it from the queue.
SELECT asked.run_id, r.terminal_status,
       (SELECT count(*) FROM runledger.settle_queue AS q WHERE q.run_id = asked.run_id) AS queued,
       (SELECT count(*) FROM runledger.quarantine AS q WHERE q.run_id = asked.run_id) AS quarantined
FROM unnest($1::text[]) AS asked (run_id)
LEFT JOIN runledger.runs AS r ON r.run_id = asked.run_id
