-- A generation that named another run before: that run is forgotten, too, though nobody was told of it.
BEGIN;
SELECT plan(3);

CREATE FUNCTION pg_temp.end_run(p_run_id text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO runledger.runs (run_id, terminal_status, reported_status, reported_at, reported_digest, event_count)
    VALUES (p_run_id, 'success', 'success', now(), 1, 0);
$$;
SELECT pg_temp.end_run('EARLIER'), pg_temp.end_run('LATER');
INSERT INTO runledger.generations (id, metadata) VALUES (-1, '{"run_id": "EARLIER"}');
SELECT is(outcome, 'settled', 'settled by its first run') FROM runledger.settle_run('EARLIER', '0', '7 days');
UPDATE runledger.generations SET metadata = '{"run_id": "LATER"}' WHERE id = -1;
SELECT is(outcome, 'settled', 'and by its second') FROM runledger.settle_run('LATER', '0', '7 days');
SELECT count(*) FROM runledger.forget_generation(-1);
SELECT is_empty($$ SELECT run_id FROM runledger.runs WHERE run_id IN ('EARLIER', 'LATER') $$, 'neither id is left');

SELECT * FROM finish();
ROLLBACK;
