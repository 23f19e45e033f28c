-- $1 text run, $2 bigint longest duration in s. The run's state and timing.
SELECT r.status, r.terminal_status, r.event_count, r.latest_status,
       to_char(r.latest_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS latest_at,
       round(r.latest_progress::numeric * 100) AS latest_percent, r.latest_live_status,
       to_char(r.running_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS running_at,
       left(r.running_boot_id::text, 8) AS running_boot, r.running_boottime_us, r.running_redelivered,
       to_char(r.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS finished_at,
       left(r.finished_boot_id::text, 8) AS finished_boot, r.finished_boottime_us, r.finished_redelivered,
       t.duration_us, t.clock, t.note,
       (SELECT output_count FROM runledger.run_payload(r.run_id)) AS output_count
FROM runledger.runs AS r, runledger.run_timing(r, $2::bigint * interval '1 second') AS t
WHERE r.run_id = $1
