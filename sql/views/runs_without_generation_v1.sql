CREATE OR REPLACE VIEW runledger.runs_without_generation_v1 AS
SELECT r.run_id, r.status, r.first_received_at, r.latest_at, r.finished_at, r.event_count
FROM runledger.runs AS r
WHERE NOT EXISTS (SELECT FROM runledger.generations AS g WHERE g.run_id = r.run_id)
  AND NOT runledger.is_simulated(r.run_id);
COMMENT ON VIEW runledger.runs_without_generation_v1 IS
    'Runs for which the application has no row (yet), or whose run_id it never stored: they wait, and nobody is notified. Not those that `runledger simulate` made up.';
COMMENT ON COLUMN runledger.runs_without_generation_v1.run_id IS 'The provider''s id of the run.';
COMMENT ON COLUMN runledger.runs_without_generation_v1.status IS 'The ending if there is one, else the furthest status received.';
COMMENT ON COLUMN runledger.runs_without_generation_v1.first_received_at IS 'When the edge received the first event.';
COMMENT ON COLUMN runledger.runs_without_generation_v1.latest_at IS 'When the edge received the last event.';
COMMENT ON COLUMN runledger.runs_without_generation_v1.finished_at IS 'When the edge received the ending; NULL: none yet.';
COMMENT ON COLUMN runledger.runs_without_generation_v1.event_count IS 'Number of stored events about the run.';
