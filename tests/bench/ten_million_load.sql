-- Fills a migrated, empty database with :rows generations that ended within the last twelve months, their runs, their
-- settlements, and a month of notifications; with runs_only set, with the runs alone. Repeatable: seeded. Run by
-- ten_million.sh, by focus_export.sh, and by run.sh. With days set, they ended within so many days before :until, an
-- expression.
--
-- Of the rows 5 % failed, 1.5 % were cancelled, 1 % succeeded without a cost, 2 % were settled twice; one in
-- ten thousand is open. 2,000 chats, a few of which ask for most; ten GPUs at their usual rates; durations log-normal around 12 s.
\set ON_ERROR_STOP on
\if :{?days}
\else
    \set days 365
    \set until 'date_trunc(''second'', now())'
\endif
SET synchronous_commit = off;
SET maintenance_work_mem = '512MB';
SELECT setseed(0.4);

-- A bulk load makes its indexes afterwards, and wakes no settlement.
CREATE TEMPORARY TABLE made_afterwards AS
SELECT format('%I.%I', n.nspname, c.relname) AS index, pg_get_indexdef(c.oid) AS definition
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE i.indrelid IN ('runledger.generations'::regclass, 'runledger.runs'::regclass, 'runledger.settlements'::regclass,
                     'runledger.notifications'::regclass)
  AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = c.oid);
SELECT format('DROP INDEX %s', index) FROM made_afterwards \gexec
ALTER TABLE runledger.generations DISABLE TRIGGER USER;

CREATE TEMPORARY TABLE gpus (number integer PRIMARY KEY, gpu text, amount numeric);
INSERT INTO gpus VALUES
    (0, 'CPU', 0.00004), (1, 'T4', 0.00018), (2, 'L4', 0.00032), (3, 'A10G', 0.000337), (4, 'L40S', 0.000596),
    (5, 'A100', 0.00114), (6, 'A100-80GB', 0.001708), (7, 'H100', 0.002338), (8, 'H200', 0.001891), (9, 'B200', 0.002604);

\echo generations
INSERT INTO runledger.generations (
    metadata, request_timestamp, response_timestamp, response_payload, status, status_reason, duration_ms, cost_usd,
    cost_note, updated_at)
SELECT
    jsonb_build_object('run_id', md5(i::text)::uuid, 'telegramChatId', 100000 + floor(2000 * chat ^ 3)::integer, 'gpu', gpu)
        || CASE WHEN note = 'rate_missing' THEN '{}'
                WHEN note = 'rate_malformed' THEN '{"costRate": "error: no rate"}'
                ELSE jsonb_build_object('costRate',
                    jsonb_build_object('amount', amount, 'currency', 'USD', 'unit', 'second')) END,
    ended_at - duration_us * interval '1 microsecond' - interval '7 seconds',
    CASE WHEN NOT open THEN ended_at END,
    CASE WHEN NOT open THEN jsonb_build_object('outputs', jsonb_build_array(jsonb_build_object('id', i))) END,
    CASE WHEN open THEN 'processing' ELSE status END,
    CASE WHEN status = 'failed' AND NOT open THEN 'failed (71 %)' END,
    CASE WHEN NOT open AND note IS DISTINCT FROM 'no_running_event' THEN round(duration_us / 1000.0, 3) END,
    CASE WHEN NOT open AND status = 'completed' AND note IS NULL THEN
        round(amount * duration_us * 1.0000000000000000000000000000000000000000 / 1000000, 12) END,
    CASE WHEN NOT open THEN coalesce(note, CASE WHEN status <> 'completed' THEN 'not_charged' END) END,
    ended_at + interval '80 milliseconds'
FROM (
    SELECT i, chat,
           i > :rows - :rows / 10000 AS open,
           :until - :days * interval '1 day' + (i - fate) * (:days * interval '1 day' / :rows) AS ended_at,
           (exp(2.5 + 0.7 * (fate + chat + machine + length - 2) * 1.7) * 1000000)::bigint AS duration_us,
           CASE WHEN fate < 0.05 THEN 'failed' WHEN fate < 0.065 THEN 'cancelled' ELSE 'completed' END AS status,
           CASE WHEN fate > 0.9966 THEN 'rate_missing' WHEN fate > 0.9933 THEN 'rate_malformed'
                WHEN fate > 0.99 THEN 'no_running_event' END AS note,
           floor(10 * machine * machine)::integer AS gpu_number
    FROM (SELECT i, random() AS fate, random() AS chat, random() AS machine, random() AS length
          FROM generate_series(1, :rows) AS i) AS dice) AS made
JOIN gpus ON gpus.number = gpu_number;

CREATE TEMPORARY VIEW loaded AS SELECT * FROM runledger.generations;
\ir loaded_rows.sql

\echo indexes
SELECT definition FROM made_afterwards \gexec
ALTER TABLE runledger.generations ENABLE TRIGGER USER;
VACUUM (ANALYZE) runledger.generations;
VACUUM (ANALYZE) runledger.runs;
VACUUM (ANALYZE) runledger.settlements;
VACUUM (ANALYZE) runledger.notifications;
