-- $1 integer rows at most. Queues the runs that ended, have a generation and are neither settled nor queued: none should
-- be, whatever has removed their entry. Only the generations of the last 30 days are looked at.
INSERT INTO runledger.settle_queue (run_id)
SELECT g.run_id
FROM runledger.generations AS g
JOIN runledger.runs AS r ON r.run_id = g.run_id
WHERE g.status IN ('pending', 'processing') AND g.run_id IS NOT NULL
      AND g.request_timestamp > now() - interval '30 days'
      AND r.terminal_status IS NOT NULL AND r.changed_at < now() - interval '10 minutes'
      AND NOT EXISTS (SELECT FROM runledger.settle_queue AS q WHERE q.run_id = g.run_id)
      AND NOT EXISTS (SELECT FROM runledger.settlements AS s WHERE s.generation_id = g.id AND s.run_id = g.run_id)
LIMIT $1::integer
RETURNING run_id
