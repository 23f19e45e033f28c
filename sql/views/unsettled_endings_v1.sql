CREATE OR REPLACE VIEW runledger.unsettled_endings_v1 AS
SELECT q.run_id, min(runledger.ended_at(r)) AS ended_at, runledger.masked_links(max(q.last_error)) AS last_error
FROM runledger.settle_queue AS q
JOIN runledger.runs AS r ON r.run_id = q.run_id
WHERE r.terminal_status IS NOT NULL
  AND EXISTS (SELECT FROM runledger.generations AS g WHERE g.run_id = q.run_id)
GROUP BY q.run_id;
COMMENT ON VIEW runledger.unsettled_endings_v1 IS
    'Runs that have ended, are named by a generation and wait to be settled, or settled again: a month with such runs is not closed, unless that is allowed.';
COMMENT ON COLUMN runledger.unsettled_endings_v1.run_id IS 'The run that waits.';
COMMENT ON COLUMN runledger.unsettled_endings_v1.ended_at IS 'When its ending was received: the month it belongs to.';
COMMENT ON COLUMN runledger.unsettled_endings_v1.last_error IS 'Why the last attempt failed; NULL before the first.';
