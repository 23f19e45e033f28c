-- $1 text run. The events that were received, and which of them count. Returns one more than is shown, so that it is
-- known whether there are more.
SELECT to_char(e.received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS received_at, e.edge,
       left(e.boot_id::text, 8) AS boot, e.boottime_us, e.status, e.redelivered,
       (e.received_at, e.boot_id, e.boottime_us, e.redelivered)
           = (r.running_at, r.running_boot_id, r.running_boottime_us, r.running_redelivered)
           AND e.status = 'running' AS begins,
       (e.received_at, e.boot_id, e.boottime_us, e.redelivered)
           = (r.finished_at, r.finished_boot_id, r.finished_boottime_us, r.finished_redelivered)
           AND e.status = r.terminal_status AS ends,
       e.status IN ('success', 'failed', 'timeout', 'cancelled') AS terminal
FROM runledger.webhook_events AS e
LEFT JOIN runledger.runs AS r ON r.run_id = e.run_id
WHERE e.run_id = $1
ORDER BY e.received_at, e.boot_id, e.boottime_us, e.redelivered, e.segment_id, e.batch_number, e.event_index
LIMIT 501
