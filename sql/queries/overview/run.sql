-- $1 text run. How it stands.
SELECT r.status, r.terminal_status IS NOT NULL AS has_ended, r.event_count, r.latest_status, r.latest_live_status,
       round(r.latest_progress::numeric * 100) AS latest_percent,
       to_char(r.latest_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS latest_at
FROM runledger.runs_v1 AS r WHERE r.run_id = $1
