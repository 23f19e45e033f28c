-- A part of a month that is over in minutes: copies of the :rows generations from :first on, as if they had just ended,
-- with all that the ledger has about them.
\set ON_ERROR_STOP on
SET synchronous_commit = off;
SET session_replication_role = replica;
BEGIN;
CREATE TEMPORARY TABLE loaded (LIKE runledger.generations) ON COMMIT DROP;
WITH inserted AS (
    INSERT INTO runledger.generations (
        metadata, request_timestamp, response_timestamp, response_payload, status, status_reason, duration_ms, cost_usd,
        cost_note, updated_at)
    SELECT metadata || jsonb_build_object('run_id', gen_random_uuid()),
           request_timestamp + (now() - response_timestamp), now(), response_payload, status, status_reason,
           duration_ms, cost_usd, cost_note, now()
    FROM runledger.generations
    WHERE id >= :first AND id < :first + :rows AND response_timestamp IS NOT NULL
    RETURNING *)
INSERT INTO loaded SELECT * FROM inserted;
\ir loaded_rows.sql
INSERT INTO runledger.run_outputs (
    run_id, output_key, updated_at, signed_links, received_at, boot_id, boottime_us, digest, position, output)
SELECT r.run_id, 'i:' || r.run_id || '-1', r.finished_at, 0, r.finished_at, r.finished_boot_id, r.finished_boottime_us,
       r.finished_digest, 0, l.response_payload
FROM loaded AS l JOIN runledger.runs AS r ON r.run_id = l.run_id
WHERE r.terminal_status = 'success';
COMMIT;
