-- The merge of daemon/ingest/run_state.cpp, in SQL: new states are merged with stored ones. Runs with a change that
-- settlement depends on are queued. $29: false for a further boot of runs that this turn has written, whose events it
-- has counted.
--
-- Of running and of the ending the first of each boot is kept, by boottime; the earliest of those by wall time is in
-- the row's columns, the others in …_other_boots. Progress is that of the last stamp, as (latest_at, boot_id,
-- boottime_us, redelivered, digest). If two stamps are equal, the values are equal, too.
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
        (running_at, running_boot_id, running_boottime_us, running_redelivered, running_other_boots,
         terminal_status, finished_at, finished_boot_id, finished_boottime_us, finished_redelivered, finished_digest,
         finished_progress, finished_live_status, finished_error, finished_other_boots, changed_at) = (
            SELECT
                (running[1]).received_at, (running[1]).boot_id, (running[1]).boottime_us, (running[1]).redelivered,
                nullif(running[2:], '{}'),
                -- An ending by the provider's report has no stamp: it stays until a webhook's comes.
                CASE WHEN ending IS NULL THEN r.terminal_status ELSE (ending[1]).status END,
                (ending[1]).received_at, (ending[1]).boot_id, (ending[1]).boottime_us, (ending[1]).redelivered,
                (ending[1]).digest,
                CASE WHEN ending IS NULL THEN r.finished_progress ELSE (ending[1]).progress END,
                CASE WHEN ending IS NULL THEN r.finished_live_status ELSE (ending[1]).live_status END,
                CASE WHEN ending IS NULL THEN r.finished_error ELSE (ending[1]).error END,
                nullif(ending[2:], '{}'),
                CASE WHEN running[1] IS DISTINCT FROM kept_running[1] OR ending[1] IS DISTINCT FROM kept_ending[1]
                    THEN now() ELSE r.changed_at END
            FROM (
                SELECT kept_running, kept_ending,
                       CASE WHEN EXCLUDED.running_at IS NULL THEN kept_running
                            ELSE runledger.join_moments(kept_running, runledger.running_moment(EXCLUDED)) END,
                       CASE WHEN EXCLUDED.finished_at IS NULL THEN kept_ending
                            ELSE runledger.join_moments(kept_ending, runledger.ending_moment(EXCLUDED)) END
                FROM (VALUES (
                    CASE WHEN r.running_at IS NOT NULL
                        THEN runledger.running_moment(r) || r.running_other_boots END,
                    CASE WHEN r.finished_at IS NOT NULL
                        THEN runledger.ending_moment(r) || r.finished_other_boots END
                )) AS kept (kept_running, kept_ending)
            ) AS joined (kept_running, kept_ending, running, ending)),
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
        event_count = r.event_count + CASE WHEN $29 THEN EXCLUDED.event_count ELSE 0 END,
        applied_at = now(),
        quiet_from = coalesce(r.quiet_from, now())
    RETURNING run_id, changed_at, running_at, finished_at
)
INSERT INTO runledger.settle_queue (run_id)
SELECT run_id FROM upserted
WHERE changed_at = now() AND (running_at IS NOT NULL OR finished_at IS NOT NULL)
RETURNING run_id
