CREATE OR REPLACE VIEW runledger.runs_v1 AS
SELECT r.run_id, r.status, r.terminal_status, r.first_received_at, r.queued_at, r.started_at, r.running_at,
       r.uploading_at, r.finished_at, r.latest_at, r.latest_status, r.latest_progress, r.latest_live_status,
       r.event_count, r.applied_at, r.changed_at
FROM runledger.runs AS r;
COMMENT ON VIEW runledger.runs_v1 IS
    'Each run as its events tell it: how far it has come and when. terminal_status IS NULL: the runs in flight, read from an index; without an index on the other columns, a condition on run_id or changed_at (of ended runs) is quick. Made-up runs of `runledger simulate` are in it until it removes them: runledger.is_simulated(run_id).';
COMMENT ON COLUMN runledger.runs_v1.run_id IS 'The provider''s id of the run.';
COMMENT ON COLUMN runledger.runs_v1.status IS 'The ending if there is one, else the furthest known status that was received.';
COMMENT ON COLUMN runledger.runs_v1.terminal_status IS 'success, failed, timeout or cancelled; NULL: in flight.';
COMMENT ON COLUMN runledger.runs_v1.first_received_at IS 'When the edge received the first event; NULL: none came.';
COMMENT ON COLUMN runledger.runs_v1.queued_at IS 'When queued was first received; NULL: it was not.';
COMMENT ON COLUMN runledger.runs_v1.started_at IS 'When started was first received; NULL: it was not.';
COMMENT ON COLUMN runledger.runs_v1.running_at IS 'When running was first received; NULL: it was not.';
COMMENT ON COLUMN runledger.runs_v1.uploading_at IS 'When uploading was first received; NULL: it was not.';
COMMENT ON COLUMN runledger.runs_v1.finished_at IS 'When the ending was received; NULL: not ended, or only the provider''s report says so.';
COMMENT ON COLUMN runledger.runs_v1.latest_at IS 'When the last event was received; NULL: none came.';
COMMENT ON COLUMN runledger.runs_v1.latest_status IS 'Its status word, as sent.';
COMMENT ON COLUMN runledger.runs_v1.latest_progress IS 'Its progress, 0 to 1; NULL: it had none.';
COMMENT ON COLUMN runledger.runs_v1.latest_live_status IS 'Its live_status; NULL: it had none.';
COMMENT ON COLUMN runledger.runs_v1.event_count IS 'Number of stored events about the run.';
COMMENT ON COLUMN runledger.runs_v1.applied_at IS 'When the daemon last applied an event of it.';
COMMENT ON COLUMN runledger.runs_v1.changed_at IS 'When the daemon last applied something that settlement depends on; for an ended run usually the ending.';
