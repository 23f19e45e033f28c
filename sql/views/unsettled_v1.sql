CREATE OR REPLACE VIEW runledger.unsettled_v1 AS
SELECT q.run_id, min(q.queued_at) AS queued_at, min(q.due_at) AS due_at, max(q.attempts) AS attempts,
       runledger.masked_links(max(q.last_error)) AS last_error
FROM runledger.settle_queue AS q
WHERE NOT runledger.is_simulated(q.run_id)
GROUP BY q.run_id;
COMMENT ON VIEW runledger.unsettled_v1 IS 'Runs that wait to be settled, with the last error if there was one. Not those that `runledger simulate` made up.';
COMMENT ON COLUMN runledger.unsettled_v1.run_id IS 'The run that waits.';
COMMENT ON COLUMN runledger.unsettled_v1.queued_at IS 'Since when.';
COMMENT ON COLUMN runledger.unsettled_v1.due_at IS 'When settle tries it next.';
COMMENT ON COLUMN runledger.unsettled_v1.attempts IS 'Number of failed attempts to settle it.';
COMMENT ON COLUMN runledger.unsettled_v1.last_error IS 'Why the last attempt failed; NULL before the first.';
