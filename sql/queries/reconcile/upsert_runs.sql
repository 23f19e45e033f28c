-- $1 text[] runs, whose reports are in provider_reports. Joins the first report of each, by (fetched_at, digest), with
-- what is stored; it ends the run unless a webhook does. Runs whose ending changed by it are queued for settlement.
WITH upserted AS (
    INSERT INTO runledger.runs AS r (
        run_id, terminal_status, finished_progress, finished_live_status, finished_error,
        reported_status, reported_at, reported_digest, provider_started_at, provider_ended_at, event_count)
    SELECT DISTINCT ON (run_id COLLATE "C")
           run_id, status, progress, live_status, error, status, fetched_at, digest, started_at, ended_at, 0
    FROM runledger.provider_reports
    WHERE run_id = ANY ($1::text[])
    ORDER BY run_id COLLATE "C", fetched_at, digest
    ON CONFLICT (run_id) DO UPDATE SET
        reported_status = EXCLUDED.reported_status,
        reported_at = EXCLUDED.reported_at,
        reported_digest = EXCLUDED.reported_digest,
        provider_started_at = EXCLUDED.provider_started_at,
        provider_ended_at = EXCLUDED.provider_ended_at,
        terminal_status = CASE WHEN r.finished_at IS NULL THEN EXCLUDED.terminal_status ELSE r.terminal_status END,
        finished_progress = CASE WHEN r.finished_at IS NULL THEN EXCLUDED.finished_progress ELSE r.finished_progress END,
        finished_live_status =
            CASE WHEN r.finished_at IS NULL THEN EXCLUDED.finished_live_status ELSE r.finished_live_status END,
        finished_error = CASE WHEN r.finished_at IS NULL THEN EXCLUDED.finished_error ELSE r.finished_error END,
        changed_at = CASE WHEN r.finished_at IS NULL THEN now() ELSE r.changed_at END
    WHERE r.reported_at IS NULL
       OR (EXCLUDED.reported_at, EXCLUDED.reported_digest) < (r.reported_at, r.reported_digest)
    RETURNING run_id, finished_at
)
INSERT INTO runledger.settle_queue (run_id)
SELECT run_id FROM upserted WHERE finished_at IS NULL
