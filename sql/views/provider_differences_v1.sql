CREATE OR REPLACE VIEW runledger.provider_differences_v1 AS
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
    'Each report of the provider beside the measured values. difference_us is the measured duration minus the provider''s, in microseconds; NULL if either is unknown, for example because no webhook ended the run.';
COMMENT ON COLUMN runledger.provider_differences_v1.run_id IS 'The run.';
COMMENT ON COLUMN runledger.provider_differences_v1.provider_status IS 'How it ended, in the provider''s word.';
COMMENT ON COLUMN runledger.provider_differences_v1.terminal_status IS 'How it ended in the ledger: by a webhook if there is one.';
COMMENT ON COLUMN runledger.provider_differences_v1.fetched_at IS 'When the report was stored.';
COMMENT ON COLUMN runledger.provider_differences_v1.finished_at IS 'When the edge received the ending; NULL: no webhook reported it.';
COMMENT ON COLUMN runledger.provider_differences_v1.provider_queued_at IS 'The provider''s time; NULL: none.';
COMMENT ON COLUMN runledger.provider_differences_v1.provider_started_at IS 'The provider''s time; NULL: none.';
COMMENT ON COLUMN runledger.provider_differences_v1.provider_ended_at IS 'The provider''s time; NULL: none.';
COMMENT ON COLUMN runledger.provider_differences_v1.provider_run_duration_s IS 'run_duration in the provider''s report, in seconds; NULL: none.';
COMMENT ON COLUMN runledger.provider_differences_v1.provider_duration_us IS 'Microseconds from its started_at to its ended_at; NULL if either is NULL.';
COMMENT ON COLUMN runledger.provider_differences_v1.measured_duration_us IS 'Microseconds from the first running to the ending, as received; NULL if either is unknown.';
COMMENT ON COLUMN runledger.provider_differences_v1.measured_clock IS 'boottime or realtime: the clock of this measurement; NULL: not measured.';
COMMENT ON COLUMN runledger.provider_differences_v1.difference_us IS 'The measured duration minus the provider''s, in microseconds; NULL if either is unknown.';
