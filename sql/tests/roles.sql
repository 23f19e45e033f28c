-- Each role is tried: what it needs it may, what it must not do it can't (42501, insufficient_privilege). No month can be
-- closed here (55000), because no run was settled.
BEGIN;
SELECT * FROM no_plan();

-- What becomes of a statement that a member of the role runs: allowed, or the SQLSTATE. It leaves nothing behind.
CREATE FUNCTION pg_temp.tried(role text, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', role);
    EXECUTE statement;
    RAISE SQLSTATE 'RL000';
EXCEPTION
    WHEN SQLSTATE 'RL000' THEN RETURN 'allowed';
    WHEN OTHERS THEN RETURN SQLSTATE;
END
$$;

SELECT is(rolcanlogin OR rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls, false,
          rolname || ' is a group without a power of its own')
FROM pg_roles WHERE rolname IN ('runledger_owner', 'runledger_daemon', 'runledger_application', 'runledger_reader');
SELECT is(count(*), 4::bigint, 'there are four roles')
FROM pg_roles WHERE rolname IN ('runledger_owner', 'runledger_daemon', 'runledger_application', 'runledger_reader');

INSERT INTO runledger.generations (id, metadata) VALUES (-1, '{"run_id": "r-1"}');
INSERT INTO runledger.runs (run_id, terminal_status, reported_status, reported_at, reported_digest, event_count)
VALUES ('r-1', 'success', 'success', now(), 1, 0);
SELECT is(pg_temp.tried(role, statement), wanted, role || ' ' || wanted || ': ' || regexp_replace(trim(statement), '\s+', ' ', 'g')) FROM (VALUES
    ('runledger_application', $$ INSERT INTO runledger.generations (metadata, request_payload) VALUES ('{"run_id": "x", "telegramChatId": 1}', '{}') RETURNING id $$, 'allowed'),
    ('runledger_application', $$ INSERT INTO runledger.generations (metadata, status, response_payload) VALUES ('{}', 'completed', '{}') $$, 'allowed'),
    ('runledger_application', $$ INSERT INTO runledger.generations (metadata, application_id) VALUES ('{}', 'x') $$, '42501'),
    ('runledger_application', $$ INSERT INTO runledger.generations (metadata, application_status) VALUES ('{}', 'x') $$, '42501'),
    ('runledger_application', $$ INSERT INTO runledger.generations (metadata, adopted_at) VALUES ('{}', now()) $$, '42501'),
    ('runledger_application', $$ SELECT * FROM runledger.generations $$, 'allowed'),
    ('runledger_application', $$ SELECT * FROM runledger.runs $$, 'allowed'),
    ('runledger_application', $$ UPDATE runledger.generations SET metadata = '{"run_id": "y"}', request_payload = '{}', request_timestamp = now() $$, 'allowed'),
    ('runledger_application', $$ LISTEN runledger_settled $$, 'allowed'),
    ('runledger_application', $$ LISTEN runledger_news $$, 'allowed'),
    ('runledger_application', $$ SELECT * FROM runledger.application_news_v1 WHERE news_id > 0 $$, 'allowed'),
    ('runledger_application', $$ SELECT * FROM runledger.application_news $$, '42501'),
    ('runledger_application', $$ SELECT * FROM runledger.group_costs_v1 $$, 'allowed'),
    ('runledger_application', $$ SELECT * FROM runledger.misspelt_metadata_v1 $$, 'allowed'),
    ('runledger_application', $$ SELECT * FROM runledger.unusable_metadata_v1 $$, 'allowed'),
    ('runledger_application', $$ SELECT * FROM runledger.day_costs_v1 $$, '42501'),
    ('runledger_application', $$ SELECT runledger.use_metadata_keys('tool_key', 'workflow') $$, '42501'),
    ('runledger_daemon', $$ SELECT runledger.use_metadata_keys('tool_key', 'workflow') $$, '42501'),
    ('runledger_owner', $$ SELECT runledger.use_metadata_keys('tool_key', 'workflow') $$, 'allowed'),
    ('runledger_application', $$ UPDATE runledger.generations SET status = 'completed' $$, '42501'),
    ('runledger_application', $$ UPDATE runledger.generations SET cost_usd = 0 $$, '42501'),
    ('runledger_application', $$ UPDATE runledger.generations SET duration_ms = 0 $$, '42501'),
    ('runledger_application', $$ UPDATE runledger.generations SET response_payload = '{}' $$, '42501'),
    ('runledger_application', $$ DELETE FROM runledger.generations $$, '42501'),
    ('runledger_application', $$ TRUNCATE runledger.generations $$, '42501'),
    ('runledger_application', $$ CREATE TRIGGER t BEFORE INSERT ON runledger.generations EXECUTE FUNCTION suppress_redundant_updates_trigger() $$, '42501'),
    ('runledger_application', $$ INSERT INTO runledger.settle_queue (run_id) VALUES ('x') $$, '42501'),
    ('runledger_application', $$ SELECT * FROM runledger.webhook_events $$, '42501'),
    ('runledger_application', $$ SELECT * FROM runledger.notifications $$, '42501'),
    ('runledger_application', $$ UPDATE runledger.runs SET terminal_status = NULL $$, '42501'),
    ('runledger_application', $$ DELETE FROM runledger.runs $$, '42501'),
    ('runledger_application', $$ SELECT runledger.drop_event_day('2020-01-01') $$, '42501'),
    ('runledger_application', $$ SELECT runledger.remove_expired('runs', 1, 1) $$, '42501'),
    ('runledger_application', $$ CREATE TABLE runledger.mine (a int) $$, '42501'),

    ('runledger_daemon', $$ INSERT INTO runledger.webhook_events (segment_id, batch_number, event_index, edge, received_at, boot_id, boottime_us, redelivered, run_id, event_type, status, body)
                            VALUES (gen_random_uuid(), 0, 0, 'e', now(), gen_random_uuid(), 1, false, 'r', 'run.updated', 'running', '{}') $$, 'allowed'),
    ('runledger_daemon', $$ SELECT * FROM runledger.generations WHERE id = -1 FOR UPDATE $$, 'allowed'),
    ('runledger_daemon', $$ SELECT * FROM runledger.generations WHERE id = -1 FOR NO KEY UPDATE NOWAIT $$, 'allowed'),
    ('runledger_daemon', $$ UPDATE runledger.runs SET quiet_from = NULL WHERE run_id = 'r-1' $$, 'allowed'),
    -- settle_run returns an error, and this divides by zero.
    ('runledger_daemon', $$ SELECT 1 / count(*) FROM runledger.settle_run('r-1', '0', '1 day') WHERE outcome = 'settled' $$, 'allowed'),
    ('runledger_daemon', $$ SELECT 1 / count(*) FROM runledger.settle_runs('{r-1}', '0', '1 day') WHERE outcome = 'settled' $$, 'allowed'),
    ('runledger_daemon', $$ SELECT queued_in, id, attempts, due_at, is_slow, pg_current_snapshot(), pg_current_xact_id_if_assigned() FROM runledger.settle_queue $$, 'allowed'),
    ('runledger_daemon', $$ UPDATE runledger.generations SET status = 'failed', cost_usd = NULL, cost_note = 'not_charged' WHERE id = -1 $$, 'allowed'),
    ('runledger_daemon', $$ SELECT runledger.make_event_day('2020-01-01') $$, 'allowed'),
    ('runledger_daemon', $$ SELECT runledger.scrub_if_forgotten('x') $$, 'allowed'),
    ('runledger_daemon', $$ SELECT runledger.drop_event_day('2020-01-01') $$, 'allowed'),
    ('runledger_daemon', $$ SELECT runledger.remove_expired('runs', 1, 1) $$, 'allowed'),
    ('runledger_daemon', $$ SELECT * FROM runledger.late_events_of('{a}') $$, 'allowed'),
    ('runledger_daemon', $$ SELECT * FROM runledger.stuck_runs_v1 $$, 'allowed'),
    ('runledger_daemon', $$ SELECT * FROM runledger.run_costs_v1 $$, '42501'),
    ('runledger_daemon', $$ UPDATE runledger.generations SET metadata = '{}' $$, '42501'),
    ('runledger_daemon', $$ UPDATE runledger.generations SET request_payload = NULL $$, '42501'),
    ('runledger_daemon', $$ INSERT INTO runledger.generations (metadata) VALUES ('{}') $$, '42501'),
    ('runledger_daemon', $$ DELETE FROM runledger.generations $$, '42501'),
    ('runledger_daemon', $$ SELECT * FROM runledger.gpu_rates $$, 'allowed'),
    ('runledger_daemon', $$ UPDATE runledger.gpu_rates SET gpu = gpu $$, '42501'),
    ('runledger_daemon', $$ UPDATE runledger.settlements SET cost_usd = 0 $$, '42501'),
    ('runledger_daemon', $$ DELETE FROM runledger.settlements $$, '42501'),
    ('runledger_daemon', $$ SELECT body FROM runledger.webhook_events $$, '42501'),
    ('runledger_daemon', $$ SELECT * FROM runledger.webhook_events_default $$, '42501'),
    ('runledger_daemon', $$ UPDATE runledger.webhook_events SET body = '' $$, '42501'),
    ('runledger_daemon', $$ DELETE FROM runledger.webhook_events $$, '42501'),
    ('runledger_daemon', $$ DELETE FROM runledger.quarantine $$, '42501'),
    ('runledger_daemon', $$ DELETE FROM runledger.runs $$, '42501'),
    ('runledger_daemon', $$ DELETE FROM runledger.spool_segments $$, '42501'),
    ('runledger_daemon', $$ INSERT INTO runledger.forgotten_runs (run_digest) VALUES (sha256('a')) $$, '42501'),
    ('runledger_daemon', $$ INSERT INTO runledger.schema_migrations (version, name) VALUES (9999, 'x') $$, '42501'),
    ('runledger_daemon', $$ DROP TABLE runledger.webhook_events_default $$, '42501'),
    ('runledger_daemon', $$ CREATE TABLE runledger.mine (a int) $$, '42501'),
    ('runledger_daemon', $$ SELECT runledger.close_period('2001-01') $$, '42501'),
    ('runledger_daemon', $$ SELECT * FROM runledger.closed_periods $$, '42501'),
    ('runledger_daemon', $$ UPDATE runledger.closed_runs SET cost_usd = 0 $$, '42501'),
    ('runledger_daemon', $$ INSERT INTO runledger.corrections (period) VALUES ('2001-01') $$, '42501'),

    ('runledger_owner', $$ SELECT runledger.close_period('2001-01') $$, '55000'),
    ('runledger_application', $$ SELECT runledger.close_period('2001-01') $$, '42501'),

    ('runledger_reader', $$ SELECT * FROM runledger.run_costs_v1 $$, 'allowed'),
    ('runledger_reader', $$ SELECT * FROM runledger.generations_by_key('1') $$, 'allowed'),
    ('runledger_reader', $$ SELECT * FROM runledger.generations $$, '42501'),
    ('runledger_reader', $$ SELECT * FROM runledger.webhook_events $$, '42501'),
    ('runledger_reader', $$ SELECT * FROM runledger.settlements $$, '42501'),
    ('runledger_reader', $$ DELETE FROM runledger.unpriced_generations_v1 $$, '42501'),
    ('runledger_reader', $$ UPDATE runledger.unpriced_generations_v1 SET cost_note = '' $$, '42501'),
    ('runledger_reader', $$ INSERT INTO runledger.generations (metadata) VALUES ('{}') $$, '42501'),
    ('runledger_reader', $$ SELECT runledger.make_event_day('2020-01-01') $$, '42501'),
    ('runledger_reader', $$ SELECT runledger.scrub_if_forgotten('x') $$, '42501'),
    ('runledger_reader', $$ CREATE TABLE runledger.mine (a int) $$, '42501'),
    ('runledger_reader', $$ SELECT runledger.close_period('2001-01') $$, '42501'),
    ('runledger_reader', $$ SELECT * FROM runledger.statement('2001-01') $$, 'allowed'),
    ('runledger_reader', $$ SELECT * FROM runledger.statement('2001-01', '2001-03-01') $$, 'allowed'),
    ('runledger_reader', $$ SELECT * FROM runledger.period_to_close('2001-01') $$, '55000'),
    ('runledger_reader', $$ SELECT * FROM runledger.corrections $$, '42501')
) AS cases (role, statement, wanted);

-- Every view, whoever made it, and no table.
SELECT is(pg_temp.tried('runledger_reader', format('SELECT * FROM runledger.%I LIMIT 1', relname)), 'allowed',
          'runledger_reader reads ' || relname)
FROM pg_class WHERE relnamespace = 'runledger'::regnamespace AND relkind IN ('v', 'm') ORDER BY relname;
SELECT is(pg_temp.tried('runledger_reader', format('SELECT * FROM runledger.%I LIMIT 1', relname)), '42501',
          'runledger_reader does not read ' || relname)
FROM pg_class WHERE relnamespace = 'runledger'::regnamespace AND relkind IN ('r', 'p') ORDER BY relname;

SELECT is_empty($$
    SELECT c.relname, acl.grantee::regrole, acl.privilege_type FROM pg_class AS c, aclexplode(c.relacl) AS acl
    WHERE c.relnamespace = 'runledger'::regnamespace AND acl.grantee = 0 $$, 'PUBLIC has no right on any table or view');
SELECT is_empty($$
    SELECT p.oid::regprocedure FROM pg_proc AS p
    WHERE p.pronamespace = 'runledger'::regnamespace AND p.prosecdef
          AND has_function_privilege('runledger_reader', p.oid, 'EXECUTE') $$,
    'a reader calls nothing that runs with the rights of its owner');
SELECT is_empty($$
    SELECT m.rolname, g.rolname FROM pg_auth_members AS a JOIN pg_roles AS m ON m.oid = a.member JOIN pg_roles AS g ON g.oid = a.roleid
    WHERE m.rolname IN ('runledger_daemon', 'runledger_application', 'runledger_reader') $$,
    'none of the roles is a member of another');

SELECT * FROM finish();
ROLLBACK;
