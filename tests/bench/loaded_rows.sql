-- What the ledger has about the generations of `loaded`, a table or view of the session with their columns: their runs,
-- and unless runs_only is set, their settlements and a month of notifications. Included by ten_million_load.sql and
-- year_chunk.sql.
\echo runs
INSERT INTO runledger.runs (
    run_id, queued_at, started_at, running_at, running_boot_id, running_boottime_us, running_redelivered, uploading_at,
    terminal_status, finished_at, finished_boot_id, finished_boottime_us, finished_redelivered, finished_digest,
    finished_progress, finished_live_status, latest_at, latest_boot_id, latest_boottime_us, latest_redelivered,
    latest_digest, latest_status, latest_progress, latest_live_status, first_received_at, event_count, applied_at, changed_at)
SELECT
    run_id, request_timestamp + interval '1 second', request_timestamp + interval '3 seconds', running_at,
    CASE WHEN running_at IS NOT NULL THEN boot_id END,
    CASE WHEN running_at IS NOT NULL THEN (extract(epoch FROM running_at) * 1000000)::bigint - 1600000000000000 END,
    CASE WHEN running_at IS NOT NULL THEN false END, ended_at - interval '1 second',
    terminal_status, response_timestamp,
    CASE WHEN terminal_status IS NOT NULL THEN boot_id END,
    CASE WHEN terminal_status IS NOT NULL THEN (extract(epoch FROM response_timestamp) * 1000000)::bigint - 1600000000000000 END,
    CASE WHEN terminal_status IS NOT NULL THEN false END,
    CASE WHEN terminal_status IS NOT NULL THEN hashint8extended(id, 1) END,
    CASE WHEN terminal_status IS NOT NULL THEN 1 END,
    NULL,
    ended_at, boot_id, (extract(epoch FROM ended_at) * 1000000)::bigint - 1600000000000000, false,
    hashint8extended(id, 1), coalesce(terminal_status, 'running'), 1, NULL,
    request_timestamp + interval '1 second', 12, ended_at, ended_at
FROM (
    SELECT id, run_id, request_timestamp, response_timestamp,
           coalesce(response_timestamp, request_timestamp + interval '20 seconds') AS ended_at,
           CASE WHEN cost_note IS DISTINCT FROM 'no_running_event' THEN request_timestamp + interval '7 seconds' END AS running_at,
           CASE status WHEN 'completed' THEN 'success' WHEN 'failed' THEN 'failed' WHEN 'cancelled' THEN 'cancelled'
               END AS terminal_status,
           '6ba7b810-9dad-41d1-80b4-00c04fd430c8'::uuid AS boot_id
    FROM loaded) AS g;

\if :{?runs_only}
\else
\echo settlements
INSERT INTO runledger.settlements (
    generation_id, run_id, settled_at, outcome, why, status, status_reason, running_at, finished_at, duration_us,
    duration_clock, rate_amount, rate_unit, cost_usd, cost_note, output_count, before, gpu, rate_source,
    duration_note, response_payload_md5)
SELECT
    g.id, g.run_id, g.updated_at + settling.later, settling.outcome,
    CASE settling.outcome WHEN 'settled' THEN 'the run ended: success' ELSE 'outputs changed' END,
    g.status, g.status_reason,
    CASE WHEN g.duration_ms IS NOT NULL THEN g.request_timestamp + interval '7 seconds' END, g.response_timestamp,
    (g.duration_ms * 1000)::bigint, CASE WHEN g.duration_ms IS NOT NULL THEN 'boottime' END,
    (g.metadata #>> '{costRate,amount}')::numeric, g.metadata #>> '{costRate,unit}', g.cost_usd, g.cost_note, 1,
    jsonb_build_object('status', 'processing', 'status_reason', NULL, 'duration_ms', NULL, 'cost_usd', NULL,
                       'cost_note', NULL, 'response_timestamp', NULL),
    g.metadata ->> 'gpu', CASE WHEN g.metadata -> 'costRate' -> 'amount' IS NOT NULL THEN 'metadata' END,
    CASE g.cost_note WHEN 'no_running_event' THEN g.cost_note END, md5(g.response_payload::text)
FROM loaded AS g
CROSS JOIN LATERAL (
    SELECT 'settled' AS outcome, interval '0' AS later
    UNION ALL SELECT 'resettled', interval '2 seconds' WHERE g.id % 50 = 0) AS settling
WHERE g.response_timestamp IS NOT NULL;

\echo notifications
INSERT INTO runledger.notifications (
    generation_id, run_id, kind, for_status, chat_id, payload, state, created_at, not_before, attempts, last_error,
    sent_at, message_id)
SELECT id, run_id, 'ending', '', telegram_chat_id,
       jsonb_build_object('status', status, 'status_reason', status_reason, 'duration_ms', duration_ms,
                          'cost_usd', cost_usd, 'cost_note', cost_note, 'outputs', response_payload -> 'outputs'),
       CASE WHEN id % 500 = 0 THEN 'dead' ELSE 'sent' END, updated_at, updated_at, 1,
       CASE WHEN id % 500 = 0 THEN '403: bot was blocked by the user' END,
       CASE WHEN id % 500 <> 0 THEN updated_at + interval '1 second' END, CASE WHEN id % 500 <> 0 THEN id END
FROM loaded
WHERE response_timestamp >= now() - interval '30 days';

\endif
