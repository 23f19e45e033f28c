CREATE OR REPLACE VIEW runledger.stuck_runs_v1 AS
WITH limits AS MATERIALIZED (
    SELECT known.status, runledger.silence_limit(known.status) AS silence
    FROM (VALUES ('not-started'), ('queued'), ('started'), ('running'), ('uploading'), ('unknown'), (NULL))
        AS known (status)
)
SELECT r.run_id, r.status, r.latest_at, now() - r.applied_at AS silent_for, g.id AS generation_id,
       limits.silence AS silence_limit, r.latest_live_status, r.latest_progress, g.request_timestamp,
       g.application_id::text AS application_id
FROM runledger.runs AS r
JOIN limits ON limits.status = r.status
LEFT JOIN runledger.generations AS g ON g.run_id = r.run_id
WHERE r.terminal_status IS NULL AND r.applied_at < now() - limits.silence AND NOT runledger.is_simulated(r.run_id)
UNION ALL
SELECT g.run_id, NULL, NULL, now() - g.request_timestamp, g.id, limits.silence, NULL, NULL, g.request_timestamp,
       g.application_id::text
FROM runledger.generations AS g
JOIN limits ON limits.status IS NULL
WHERE g.status = 'pending' AND g.run_id IS NOT NULL
  AND g.request_timestamp > '-infinity' AND g.request_timestamp < now() - limits.silence
  AND NOT EXISTS (SELECT FROM runledger.runs AS r WHERE r.run_id = g.run_id);
COMMENT ON VIEW runledger.stuck_runs_v1 IS
    'Runs that have not ended and have been silent for longer than the limit of their status, and generations without any event of their run. Nothing is guessed about them. Runs that `runledger simulate` made up are left out.';
COMMENT ON COLUMN runledger.stuck_runs_v1.run_id IS 'The provider''s id of the run.';
COMMENT ON COLUMN runledger.stuck_runs_v1.status IS 'The furthest status that was received; NULL: nothing was.';
COMMENT ON COLUMN runledger.stuck_runs_v1.latest_at IS 'When the edge received the last event; NULL: none came.';
COMMENT ON COLUMN runledger.stuck_runs_v1.silent_for IS
    'How long ago the daemon applied the last event, so that neither an edge''s clock nor a backlog looks like silence; without any event, how long ago the application asked.';
COMMENT ON COLUMN runledger.stuck_runs_v1.generation_id IS 'The generation that names the run; NULL: none.';
COMMENT ON COLUMN runledger.stuck_runs_v1.silence_limit IS 'The limit that it has exceeded: runledger.silence_limit(status).';
COMMENT ON COLUMN runledger.stuck_runs_v1.latest_live_status IS 'The last live_status; NULL: none.';
COMMENT ON COLUMN runledger.stuck_runs_v1.latest_progress IS 'The last progress, 0 to 1; NULL: none.';
COMMENT ON COLUMN runledger.stuck_runs_v1.request_timestamp IS 'When the application asked; NULL: no generation names the run.';
COMMENT ON COLUMN runledger.stuck_runs_v1.application_id IS
    'The application''s own key, if its table was adopted with a key that is no number; NULL: generation_id is its key, or no generation names the run.';
