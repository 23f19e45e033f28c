-- generations.updated_at moves, and only forwards, whenever the ledger changes a row: who copies rows by it misses none.
BEGIN;
SELECT plan(9);

CREATE FUNCTION pg_temp.end_run(p_run_id text, p_status text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO runledger.runs (run_id, running_at, running_boot_id, running_boottime_us, running_redelivered,
                                terminal_status, finished_at, finished_boot_id, finished_boottime_us, finished_redelivered,
                                finished_digest, latest_at, latest_boot_id, latest_boottime_us, latest_redelivered,
                                latest_digest, latest_status, first_received_at, event_count)
    SELECT p_run_id, now(), boot, 1, false, p_status, e.at, e.boot_id, e.us, e.re, e.us,
           now(), boot, 2, false, 1, coalesce(p_status, 'running'), now(), 2
    FROM (VALUES ('00000000-0000-0000-0000-000000000001'::uuid)) AS b (boot)
    CROSS JOIN LATERAL (VALUES (CASE WHEN p_status IS NOT NULL THEN now() END, CASE WHEN p_status IS NOT NULL THEN boot END,
                                CASE WHEN p_status IS NOT NULL THEN 2000001 END, CASE WHEN p_status IS NOT NULL THEN false END))
        AS e (at, boot_id, us, re)
    ON CONFLICT (run_id) DO UPDATE SET terminal_status = excluded.terminal_status
$$;
CREATE FUNCTION pg_temp.settle(p_run_id text) RETURNS text LANGUAGE sql AS $$
    SELECT outcome FROM runledger.settle_run(p_run_id, '0', '7 days') WHERE outcome <> 'not_ended'
$$;
-- What each row had when it was looked at last.
CREATE TEMPORARY TABLE seen AS SELECT id, updated_at FROM runledger.generations WHERE false;
CREATE FUNCTION pg_temp.moved() RETURNS SETOF bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT g.id FROM runledger.generations AS g JOIN seen AS s ON s.id = g.id WHERE g.updated_at > s.updated_at ORDER BY g.id;
    TRUNCATE pg_temp.seen;
    INSERT INTO pg_temp.seen SELECT g.id, g.updated_at FROM runledger.generations AS g;
END
$$;

-- The clock has gone back by an hour since these rows were written.
INSERT INTO runledger.generations (id, metadata, request_payload, updated_at)
SELECT id, jsonb_build_object('run_id', 'r' || id, 'gpu', 'A10G'), '{"prompt": "p"}', now() + interval '1 hour'
FROM generate_series(-4, -1) AS id;
SELECT is_empty('SELECT pg_temp.moved()', 'the rows are seen');
SELECT pg_temp.end_run('r-1', NULL), pg_temp.end_run('r-2', 'success'), pg_temp.end_run('r-3', 'success');
SELECT pg_temp.settle('r-1'), pg_temp.settle('r-2'), pg_temp.settle('r-3');
SELECT results_eq('SELECT pg_temp.moved()', '{-3,-2,-1}'::bigint[], 'a row that runs, and each that is settled, moves forwards');

UPDATE runledger.gpu_rates SET usd_per_second = 1 WHERE gpu = 'A10G';
SELECT is((SELECT verdict FROM runledger.reprice_generation(-2, 'A10G', now() - interval '1 day', now() + interval '1 day')), 'reprice',
          'a settled row is repriced');
SELECT results_eq('SELECT pg_temp.moved()', '{-2}'::bigint[], 'and moves');

SELECT isnt_empty('SELECT runledger.forget_generation(-3)', 'a person is forgotten');
SELECT results_eq('SELECT pg_temp.moved()', '{-3}'::bigint[], 'and the row moves, so that a copy of it is forgotten, too');
UPDATE runledger.generations SET metadata = jsonb_build_object('run_id', 'r-3') WHERE id = -4;
SELECT results_eq('SELECT pg_temp.moved()', '{-4}'::bigint[], 'so does a row that is scrubbed because it names a forgotten run');

-- What a caller may have written.
INSERT INTO runledger.generations (id, metadata, updated_at) VALUES
    (-5, '{"run_id": "r-5"}', 'infinity'), (-6, '{"run_id": "r-6"}', '294276-12-31 23:59:59.999999+00');
SELECT pg_temp.end_run('r-5', 'failed'), pg_temp.end_run('r-6', 'failed');
SELECT pg_temp.settle('r-5'), pg_temp.settle('r-6');
SELECT results_eq($$ SELECT id, status FROM runledger.generations WHERE id < -4 AND updated_at < now() + interval '1 day' ORDER BY id $$,
                  $$ VALUES (-6::bigint, 'failed'), (-5, 'failed') $$, 'a time that is no time keeps no row from being settled');

SELECT is_empty($$
    SELECT p.proname FROM pg_proc AS p
    WHERE p.pronamespace = 'runledger'::regnamespace
      AND (SELECT count(*) FROM regexp_matches(p.prosrc, 'UPDATE runledger\.generations', 'g'))
          <> (SELECT count(*) FROM regexp_matches(p.prosrc, 'updated_at = runledger\.later_than\(', 'g')) $$,
    'every function that changes a generation moves it');

SELECT * FROM finish();
ROLLBACK;
