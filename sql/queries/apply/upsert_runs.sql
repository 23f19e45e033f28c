-- The merge of daemon/ingest/run_state.cpp, in SQL: what comes is joined with what is there. Runs in which something changed
-- that settlement depends on are queued.
--
-- Stamps are compared as (received_at, boot_id, boottime_us, redelivered, digest): earliest wins for running and for
-- the ending, last wins for progress. Where they are equal, so is what is kept.
WITH upserted AS (
    INSERT INTO runledger.runs AS r (
        run_id, not_started_at, queued_at, started_at, uploading_at,
        running_at, running_boot_id, running_boottime_us, running_redelivered,
        terminal_status, finished_at, finished_boot_id, finished_boottime_us, finished_redelivered, finished_digest,
        finished_progress, finished_live_status, finished_error,
        latest_at, latest_boot_id, latest_boottime_us, latest_redelivered, latest_digest,
        latest_status, latest_progress, latest_live_status,
        first_received_at, event_count)
    SELECT * FROM unnest(
        $1::text[], $2::timestamptz[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[],
        $6::timestamptz[], $7::uuid[], $8::bigint[], $9::boolean[],
        $10::text[], $11::timestamptz[], $12::uuid[], $13::bigint[], $14::boolean[], $15::bigint[],
        $16::double precision[], $17::text[], $18::text[],
        $19::timestamptz[], $20::uuid[], $21::bigint[], $22::boolean[], $23::bigint[],
        $24::text[], $25::double precision[], $26::text[],
        $27::timestamptz[], $28::bigint[]) AS incoming (run_id)
    ORDER BY run_id COLLATE "C"
    ON CONFLICT (run_id) DO UPDATE SET
        not_started_at = least(r.not_started_at, EXCLUDED.not_started_at),
        queued_at = least(r.queued_at, EXCLUDED.queued_at),
        started_at = least(r.started_at, EXCLUDED.started_at),
        uploading_at = least(r.uploading_at, EXCLUDED.uploading_at),
        (running_at, running_boot_id, running_boottime_us, running_redelivered) = (
            SELECT
                CASE WHEN is_theirs THEN EXCLUDED.running_at ELSE r.running_at END,
                CASE WHEN is_theirs THEN EXCLUDED.running_boot_id ELSE r.running_boot_id END,
                CASE WHEN is_theirs THEN EXCLUDED.running_boottime_us ELSE r.running_boottime_us END,
                CASE WHEN is_theirs THEN EXCLUDED.running_redelivered ELSE r.running_redelivered END
            FROM (VALUES (
                EXCLUDED.running_at IS NOT NULL AND (r.running_at IS NULL OR
                    (EXCLUDED.running_at, EXCLUDED.running_boot_id, EXCLUDED.running_boottime_us,
                     EXCLUDED.running_redelivered)
                    < (r.running_at, r.running_boot_id, r.running_boottime_us, r.running_redelivered))
            )) AS choice (is_theirs)),
        (terminal_status, finished_at, finished_boot_id, finished_boottime_us, finished_redelivered, finished_digest,
         finished_progress, finished_live_status, finished_error) = (
            SELECT
                CASE WHEN is_theirs THEN EXCLUDED.terminal_status ELSE r.terminal_status END,
                CASE WHEN is_theirs THEN EXCLUDED.finished_at ELSE r.finished_at END,
                CASE WHEN is_theirs THEN EXCLUDED.finished_boot_id ELSE r.finished_boot_id END,
                CASE WHEN is_theirs THEN EXCLUDED.finished_boottime_us ELSE r.finished_boottime_us END,
                CASE WHEN is_theirs THEN EXCLUDED.finished_redelivered ELSE r.finished_redelivered END,
                CASE WHEN is_theirs THEN EXCLUDED.finished_digest ELSE r.finished_digest END,
                CASE WHEN is_theirs THEN EXCLUDED.finished_progress ELSE r.finished_progress END,
                CASE WHEN is_theirs THEN EXCLUDED.finished_live_status ELSE r.finished_live_status END,
                CASE WHEN is_theirs THEN EXCLUDED.finished_error ELSE r.finished_error END
            FROM (VALUES (
                -- An ending by the provider's report has no stamp: it stays where no webhook's comes.
                EXCLUDED.finished_at IS NOT NULL AND (r.finished_at IS NULL OR
                    (EXCLUDED.finished_at, EXCLUDED.finished_boot_id, EXCLUDED.finished_boottime_us,
                     EXCLUDED.finished_redelivered, EXCLUDED.finished_digest, EXCLUDED.terminal_status)
                    < (r.finished_at, r.finished_boot_id, r.finished_boottime_us, r.finished_redelivered,
                       r.finished_digest, r.terminal_status))
            )) AS choice (is_theirs)),
        (latest_at, latest_boot_id, latest_boottime_us, latest_redelivered, latest_digest, latest_status,
         latest_progress, latest_live_status) = (
            SELECT
                CASE WHEN is_theirs THEN EXCLUDED.latest_at ELSE r.latest_at END,
                CASE WHEN is_theirs THEN EXCLUDED.latest_boot_id ELSE r.latest_boot_id END,
                CASE WHEN is_theirs THEN EXCLUDED.latest_boottime_us ELSE r.latest_boottime_us END,
                CASE WHEN is_theirs THEN EXCLUDED.latest_redelivered ELSE r.latest_redelivered END,
                CASE WHEN is_theirs THEN EXCLUDED.latest_digest ELSE r.latest_digest END,
                CASE WHEN is_theirs THEN EXCLUDED.latest_status ELSE r.latest_status END,
                CASE WHEN is_theirs THEN EXCLUDED.latest_progress ELSE r.latest_progress END,
                CASE WHEN is_theirs THEN EXCLUDED.latest_live_status ELSE r.latest_live_status END
            FROM (VALUES (
                r.latest_at IS NULL OR
                    (EXCLUDED.latest_at, EXCLUDED.latest_boot_id, EXCLUDED.latest_boottime_us,
                     EXCLUDED.latest_redelivered, EXCLUDED.latest_digest)
                    > (r.latest_at, r.latest_boot_id, r.latest_boottime_us, r.latest_redelivered, r.latest_digest)
            )) AS choice (is_theirs)),
        first_received_at = least(r.first_received_at, EXCLUDED.first_received_at),
        event_count = r.event_count + EXCLUDED.event_count,
        applied_at = now(),
        changed_at = CASE
            WHEN EXCLUDED.running_at IS NOT NULL AND (
                     r.running_at IS NULL
                     OR (EXCLUDED.running_at, EXCLUDED.running_boot_id, EXCLUDED.running_boottime_us)
                        < (r.running_at, r.running_boot_id, r.running_boottime_us))
                 OR EXCLUDED.finished_at IS NOT NULL AND (
                     r.finished_at IS NULL
                     OR (EXCLUDED.finished_at, EXCLUDED.finished_boot_id, EXCLUDED.finished_boottime_us,
                         EXCLUDED.finished_redelivered, EXCLUDED.finished_digest)
                        < (r.finished_at, r.finished_boot_id, r.finished_boottime_us, r.finished_redelivered,
                           r.finished_digest))
            THEN now()
            ELSE r.changed_at
        END
    RETURNING run_id, changed_at, running_at, finished_at
)
INSERT INTO runledger.settle_queue (run_id)
SELECT run_id FROM upserted
WHERE changed_at = now() AND (running_at IS NOT NULL OR finished_at IS NOT NULL)
RETURNING run_id
