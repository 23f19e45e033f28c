CREATE OR REPLACE VIEW runledger.unsettled_v1 AS
SELECT q.run_id, min(q.queued_at) AS queued_at, min(q.due_at) AS due_at, max(q.attempts) AS attempts,
       max(q.last_error) AS last_error
FROM runledger.settle_queue AS q
GROUP BY q.run_id;
COMMENT ON VIEW runledger.unsettled_v1 IS 'Runs that wait to be settled, with the last error where one was met.';
COMMENT ON COLUMN runledger.unsettled_v1.run_id IS 'The run that waits.';
COMMENT ON COLUMN runledger.unsettled_v1.queued_at IS 'Since when.';
COMMENT ON COLUMN runledger.unsettled_v1.due_at IS 'When it is looked at next.';
COMMENT ON COLUMN runledger.unsettled_v1.attempts IS 'How often settling it was tried in vain.';
COMMENT ON COLUMN runledger.unsettled_v1.last_error IS 'Why the last attempt was in vain; NULL before the first.';
