-- Makes of a ledger that ten_million_load.sql filled with :rows generations what a year leaves behind besides: an output
-- of each run that succeeded, runs that never ended (one in 200), look-ups that were given up (one in 500), reports (one
-- in 100), tombstones of segments, and rows of quarantine (one in 1,000 each).
\set ON_ERROR_STOP on
SET synchronous_commit = off;
SET maintenance_work_mem = '512MB';
SET session_replication_role = replica;

\echo outputs
INSERT INTO runledger.run_outputs (
    run_id, output_key, updated_at, signed_links, received_at, boot_id, boottime_us, digest, position, output)
SELECT run_id, 'i:' || run_id || '-1', finished_at, 0, finished_at, finished_boot_id, finished_boottime_us, finished_digest, 0,
       jsonb_build_object('id', run_id || '-1', 'type', 'output', 'data', jsonb_build_object('images', jsonb_build_array(
           jsonb_build_object('filename', 'ComfyUI_00001_.png', 'url',
                              'https://comfy-deploy-output.s3.us-east-2.amazonaws.com/outputs/runs/' || run_id || '/1.png'))))
FROM runledger.runs
WHERE terminal_status = 'success';

\echo runs that never ended
INSERT INTO runledger.runs (
    run_id, queued_at, running_at, running_boot_id, running_boottime_us, running_redelivered,
    latest_at, latest_boot_id, latest_boottime_us, latest_redelivered, latest_digest, latest_status, latest_progress,
    first_received_at, event_count, applied_at, changed_at, quiet_from)
SELECT 'never-ended-' || i, at, at, '6ba7b810-9dad-41d1-80b4-00c04fd430c8', i, false,
       at, '6ba7b810-9dad-41d1-80b4-00c04fd430c8', i, false, i, 'running', 0.5, at, 3, at, at,
       CASE WHEN at > now() - interval '7 days' THEN at END
FROM (SELECT i, now() - interval '1 hour' - i * (interval '364 days' / (:rows / 200)) AS at
      FROM generate_series(1, :rows / 200) AS i) AS made;

\echo look-ups
INSERT INTO runledger.reconcile_lookups (run_id, enrolled_at, attempts, next_at, last_asked_at, last_status)
SELECT run_id, applied_at + interval '10 minutes', 20, 'infinity', applied_at + interval '7 days', 'running'
FROM runledger.runs
WHERE run_id LIKE 'never-ended-%' AND applied_at < now() - interval '8 days'
ORDER BY run_id
LIMIT :rows / 500;

\echo reports
INSERT INTO runledger.provider_reports (run_id, fetched_at, digest, status, output_count, body)
SELECT run_id, finished_at, finished_digest, terminal_status, 0, repeat('x', 600)
FROM runledger.runs
WHERE terminal_status IN ('success', 'failed', 'cancelled') AND finished_digest % 100 = 0;

\echo segments and quarantine
INSERT INTO runledger.spool_segments (segment_id, edge, first_applied_at, retired_at, batch_count)
SELECT gen_random_uuid(), 'edge-1', at, at, 1000
FROM (SELECT now() - i * (interval '365 days' / (:rows / 1000)) AS at FROM generate_series(1, :rows / 1000) AS i) AS made;
INSERT INTO runledger.quarantine (
    quarantined_at, scope, reason, segment_id, batch_number, event_index, edge, received_at, boot_id, boottime_us, run_id,
    content, redelivered)
SELECT at, 'event', 'bad_json: loaded', gen_random_uuid(), 1, 0, 'edge-1', at,
       '6ba7b810-9dad-41d1-80b4-00c04fd430c8', i, 'quarantined-' || i, convert_to(repeat('x', 600), 'UTF8'), false
FROM (SELECT i, now() - i * (interval '365 days' / (:rows / 1000)) AS at FROM generate_series(1, :rows / 1000) AS i) AS made;
VACUUM (ANALYZE);
