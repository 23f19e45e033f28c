-- A provider's report ends a run that no webhook has ended: runs.terminal_status is a function of both kinds of event.
ALTER TABLE runledger.runs
    ADD COLUMN reported_status text,
    ADD COLUMN reported_at timestamptz,
    ADD COLUMN reported_digest bigint,
    ADD COLUMN provider_started_at timestamptz,
    ADD COLUMN provider_ended_at timestamptz,
    -- A run of which only the provider has told has no event of its own.
    ALTER COLUMN latest_at DROP NOT NULL,
    ALTER COLUMN latest_boot_id DROP NOT NULL,
    ALTER COLUMN latest_boottime_us DROP NOT NULL,
    ALTER COLUMN latest_redelivered DROP NOT NULL,
    ALTER COLUMN latest_digest DROP NOT NULL,
    ALTER COLUMN latest_status DROP NOT NULL,
    ALTER COLUMN first_received_at DROP NOT NULL,
    DROP CONSTRAINT runs_event_count_is_positive,
    DROP CONSTRAINT runs_finished_at_iff_terminal,
    ADD CONSTRAINT runs_are_heard_of CHECK (event_count > 0 OR event_count = 0 AND reported_at IS NOT NULL),
    ADD CONSTRAINT runs_latest_iff_events
        CHECK (num_nulls(latest_at, latest_boot_id, latest_boottime_us, latest_redelivered, latest_digest, latest_status,
                         first_received_at) = CASE event_count WHEN 0 THEN 7 ELSE 0 END),
    ADD CONSTRAINT runs_report_is_whole CHECK (num_nulls(reported_status, reported_at, reported_digest) IN (0, 3)),
    ADD CONSTRAINT runs_provider_times_are_of_a_report
        CHECK (reported_at IS NOT NULL OR provider_started_at IS NULL AND provider_ended_at IS NULL),
    ADD CONSTRAINT runs_end_by_webhook_else_by_report
        CHECK (CASE WHEN finished_at IS NOT NULL THEN terminal_status IS NOT NULL
                    ELSE terminal_status IS NOT DISTINCT FROM reported_status END);
COMMENT ON COLUMN runledger.runs.terminal_status IS
    'success, failed, timeout or cancelled: of the terminal event that was received first; where none was, of the provider''s first report (then finished_at is NULL); NULL: not ended.';
COMMENT ON COLUMN runledger.runs.finished_at IS
    'When that event was received; NULL: not ended, or only the provider''s report says so.';
COMMENT ON COLUMN runledger.runs.reported_status IS
    'How the run ended by the provider''s first report; NULL: there is none. A webhook''s ending wins over it.';
COMMENT ON COLUMN runledger.runs.reported_at IS 'When that report was stored, by the database''s clock; NULL: there is none.';
COMMENT ON COLUMN runledger.runs.reported_digest IS 'XXH3-64 of its body: decides between reports of the same instant.';
COMMENT ON COLUMN runledger.runs.provider_started_at IS
    'Its started_at: the provider''s clock, never compared with a receive time; NULL: no report, or it says none.';
COMMENT ON COLUMN runledger.runs.provider_ended_at IS 'Its ended_at; likewise.';
COMMENT ON COLUMN runledger.runs.finished_progress IS 'The ending''s progress, 0 to 1 as was said; NULL: it said none.';
COMMENT ON COLUMN runledger.runs.finished_live_status IS 'The ending''s live_status; NULL: it had none.';
COMMENT ON COLUMN runledger.runs.finished_error IS 'The ending''s error text; NULL: it had none (the usual case).';
COMMENT ON COLUMN runledger.runs.latest_at IS 'When the last event was received; NULL, as all latest_…: only the provider''s report tells of the run.';
COMMENT ON COLUMN runledger.runs.first_received_at IS 'When the first event was received; NULL: none was.';
COMMENT ON COLUMN runledger.runs.event_count IS 'How many stored events told of the run; 0: only the provider''s report does.';
COMMENT ON COLUMN runledger.run_outputs.boot_id IS
    'The edge''s boot at that moment; decides where that is the same too. All zeros: it came with a provider''s report, and received_at is the report''s.';

CREATE VIEW runledger.provider_differences_v1 AS
SELECT p.run_id, p.status AS provider_status, r.terminal_status, p.fetched_at, r.finished_at,
       p.queued_at AS provider_queued_at, p.started_at AS provider_started_at, p.ended_at AS provider_ended_at,
       p.run_duration_s AS provider_run_duration_s, p.duration_us AS provider_duration_us,
       measured.duration_us AS measured_duration_us, measured.clock AS measured_clock,
       measured.duration_us - p.duration_us AS difference_us
FROM runledger.provider_reports AS p
JOIN runledger.runs AS r ON r.run_id = p.run_id
CROSS JOIN LATERAL (
    SELECT CASE WHEN r.running_boot_id = r.finished_boot_id THEN r.finished_boottime_us - r.running_boottime_us
                ELSE (extract(epoch FROM r.finished_at - r.running_at) * 1000000)::bigint END AS duration_us,
           CASE WHEN r.running_at IS NULL OR r.finished_at IS NULL THEN NULL
                WHEN r.running_boot_id = r.finished_boot_id THEN 'boottime' ELSE 'realtime' END AS clock) AS measured;
COMMENT ON VIEW runledger.provider_differences_v1 IS
    'Each report of the provider beside what was measured: difference_us is measured minus provider''s, in microseconds; NULL where either is unknown, such as where no webhook ended the run.';
