-- The merge of daemon/run_state.cpp, in SQL: what comes is joined with what is there. Runs in which something changed
-- that settlement depends on are queued.
--
-- Stamps are compared as (received_at, boot_id, boottime_us, redelivered, digest): earliest wins for running and for
-- the ending, last wins for progress.
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
            SELECT * FROM (VALUES
                (r.running_at, r.running_boot_id, r.running_boottime_us, r.running_redelivered),
                (EXCLUDED.running_at, EXCLUDED.running_boot_id, EXCLUDED.running_boottime_us, EXCLUDED.running_redelivered)
            ) AS either (received_at, boot_id, boottime_us, redelivered)
            ORDER BY received_at, boot_id, boottime_us, redelivered LIMIT 1),
        (terminal_status, finished_at, finished_boot_id, finished_boottime_us, finished_redelivered, finished_digest,
         finished_progress, finished_live_status, finished_error) = (
            SELECT * FROM (VALUES
                (r.terminal_status, r.finished_at, r.finished_boot_id, r.finished_boottime_us, r.finished_redelivered,
                 r.finished_digest, r.finished_progress, r.finished_live_status, r.finished_error),
                (EXCLUDED.terminal_status, EXCLUDED.finished_at, EXCLUDED.finished_boot_id,
                 EXCLUDED.finished_boottime_us, EXCLUDED.finished_redelivered, EXCLUDED.finished_digest,
                 EXCLUDED.finished_progress, EXCLUDED.finished_live_status, EXCLUDED.finished_error)
            ) AS either (status, received_at, boot_id, boottime_us, redelivered, digest, progress, live_status, error)
            -- Last, since an ending by the provider's report has no stamp: it stays where no webhook's comes.
            ORDER BY received_at, boot_id, boottime_us, redelivered, digest, status LIMIT 1),
        (latest_at, latest_boot_id, latest_boottime_us, latest_redelivered, latest_digest,
         latest_status, latest_progress, latest_live_status) = (
            SELECT * FROM (VALUES
                (r.latest_at, r.latest_boot_id, r.latest_boottime_us, r.latest_redelivered, r.latest_digest,
                 r.latest_status, r.latest_progress, r.latest_live_status),
                (EXCLUDED.latest_at, EXCLUDED.latest_boot_id, EXCLUDED.latest_boottime_us, EXCLUDED.latest_redelivered,
                 EXCLUDED.latest_digest, EXCLUDED.latest_status, EXCLUDED.latest_progress, EXCLUDED.latest_live_status)
            ) AS either (received_at, boot_id, boottime_us, redelivered, digest, status, progress, live_status)
            ORDER BY received_at DESC NULLS LAST, boot_id DESC, boottime_us DESC, redelivered DESC, digest DESC LIMIT 1),
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
