-- A person is forgotten: no trace is left in any table, and money, times and states stay as they were.
BEGIN;
SELECT plan(25);

-- A chat 987654321 with a settled run and one under way; prompt, links, names and errors that must go. Beside it a
-- stranger whose rows must stay.
CREATE FUNCTION pg_temp.add_event(p_run_id text, p_status text, p_body text, p_index integer) RETURNS void LANGUAGE sql AS $$
    INSERT INTO runledger.webhook_events (segment_id, batch_number, event_index, edge, received_at, boot_id, boottime_us,
                                          redelivered, run_id, event_type, status, body)
    VALUES (gen_random_uuid(), 0, p_index, 'edge', now(), gen_random_uuid(), 1, false, p_run_id, 'run.updated', p_status, p_body)
$$;
CREATE FUNCTION pg_temp.add_run(p_run_id text, has_ended boolean) RETURNS void LANGUAGE sql AS $$
    INSERT INTO runledger.runs (
        run_id, running_at, running_boot_id, running_boottime_us, running_redelivered, terminal_status, finished_at,
        finished_boot_id, finished_boottime_us, finished_redelivered, finished_digest, finished_live_status,
        finished_error, latest_at, latest_boot_id, latest_boottime_us, latest_redelivered, latest_digest, latest_status,
        latest_live_status, first_received_at, event_count)
    SELECT p_run_id, now(), boot, 1, false, e.status, e.at, e.boot_id, e.us, e.re, e.us, e.live, e.error,
           now(), boot, 2, false, 1, 'failed', 'SECRETLIVE', now(), 2
    FROM (VALUES ('00000000-0000-0000-0000-000000000001'::uuid)) AS b (boot)
    CROSS JOIN LATERAL (
        SELECT 'success' AS status, now() + interval '2 s' AS at, boot AS boot_id, 2000001 AS us, false AS re,
               'SECRETLIVE' AS live, 'SECRETERROR' AS error WHERE has_ended
        UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL WHERE NOT has_ended) AS e
$$;
INSERT INTO runledger.generations (id, metadata, request_payload)
SELECT id, jsonb_build_object('run_id', run_id, 'telegramChatId', chat, 'name', 'SECRETNAME', 'gpu', 'A10G',
                              'costRate', '{"amount": 0.000337, "currency": "USD", "unit": "second", "note": "SECRETNOTE"}'::jsonb),
       '{"prompt": "SECRETPROMPT"}'
FROM (VALUES (-1, 'SECRETRUN-1', '987654321'), (-2, 'SECRETRUN-2', '987654321'), (-3, 'stranger', '5')) AS g (id, run_id, chat);
SELECT pg_temp.add_run('SECRETRUN-1', true), pg_temp.add_run('SECRETRUN-2', false), pg_temp.add_run('stranger', true);
UPDATE runledger.runs SET finished_other_boots = ARRAY[
    ROW(now() + interval '3 s', gen_random_uuid(), 5, false, 7, 'failed', 0.5, 'SECRETLIVE', 'SECRETERROR')::runledger.run_moment]
    WHERE run_id = 'SECRETRUN-1';
INSERT INTO runledger.run_outputs (run_id, output_key, updated_at, received_at, boot_id, boottime_us, digest, position, output)
SELECT run_id, 'SECRETOUTPUT', now(), now(), gen_random_uuid(), 1, 1, 0,
       '{"data": {"images": [{"url": "https://h/SECRETURL?X-Amz-Signature=s"}]}}'
FROM (VALUES ('SECRETRUN-1'), ('stranger')) AS o (run_id);
INSERT INTO runledger.run_other_statuses (run_id, status, received_at) VALUES ('SECRETRUN-1', 'SECRETWORD', now());
SELECT pg_temp.add_event('SECRETRUN-1', 'success', '{"run_id": "SECRETRUN-1", "progress": 0.5, "outputs": ["SECRETURL"]}', 0),
       pg_temp.add_event('SECRETRUN-1', 'running', '{"run_id": "SECRETRUN-1", "progress": NaN, "outputs": ["SECRETURL"]}', 1),
       pg_temp.add_event('stranger', 'success', '{"run_id": "stranger"}', 2);
INSERT INTO runledger.quarantine (scope, reason, segment_id, batch_number, event_index, edge, run_id, content) VALUES
    ('output', 'output_not_jsonb: SECRETREASON', gen_random_uuid(), 0, 0, 'e', 'SECRETRUN-1', 'SECRETURL'),
    ('event', 'json: SECRETREASON', gen_random_uuid(), 0, 0, 'e', NULL, '{"run_id": "SECRETRUN-1", SECRETURL'),
    ('event', 'json: a stranger''s', gen_random_uuid(), 0, 0, 'e', NULL, '{"run_id": "stranger"');
SELECT is(outcome, 'settled', run_id || ' is settled') FROM (VALUES ('SECRETRUN-1'), ('stranger')) AS r (run_id),
    runledger.settle_run(run_id, '0', '7 days');
-- As a settlement of a failed run that was settled before.
UPDATE runledger.generations SET status_reason = 'SECRETREASON' WHERE id = -1;
UPDATE runledger.settlements SET status_reason = 'SECRETREASON', before = before || '{"status_reason": "SECRETBEFORE"}'
WHERE generation_id = -1;
INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, payload)
VALUES (-99, 'SECRETRUN-9', 'ending', '', 987654321, '{}');

CREATE TEMPORARY TABLE before AS
SELECT g.status, g.duration_ms, g.cost_usd, g.response_timestamp, g.request_timestamp, s.rate_amount, s.cost_usd AS audited
FROM runledger.generations AS g JOIN runledger.settlements AS s ON s.generation_id = g.id WHERE g.id = -1;
SELECT is((SELECT cost_usd FROM before), 0.000674, 'there is a cost to be kept');

-- Every table that holds a text, and how many of its rows do. The stranger's rows have words of the person's kind too.
CREATE FUNCTION pg_temp.traces(what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    name text;
    found bigint;
BEGIN
    FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'runledger'::regnamespace AND relkind IN ('r', 'p') LOOP
        EXECUTE format('SELECT count(*) FROM runledger.%I AS t WHERE (t::text LIKE $1 OR t::text LIKE $2) AND t::text NOT LIKE ''%%stranger%%''', name)
            INTO found USING '%' || what || '%', '%' || encode(convert_to(what, 'UTF8'), 'hex') || '%';
        IF found > 0 THEN
            RETURN NEXT name;
        END IF;
    END LOOP;
END
$$;
SELECT bag_has($$ SELECT pg_temp.traces('SECRET') $$,
               $$ VALUES ('generations'), ('runs'), ('run_outputs'), ('run_other_statuses'), ('webhook_events'),
                         ('quarantine'), ('settle_queue'), ('settlements'), ('notifications') $$,
               'the person is everywhere');

SELECT results_eq($$ SELECT table_name, action, row_count FROM runledger.forget_generation(-1)
                     WHERE table_name IN ('generations', 'settlements', 'runs', 'run_outputs', 'run_other_statuses',
                                          'webhook_events', 'quarantine', 'notifications', 'settle_queue') AND row_count > 0 $$,
    $$ VALUES ('generations', 'scrubbed', 1::bigint), ('settlements', 'scrubbed', 1), ('run_outputs', 'deleted', 1),
              ('run_other_statuses', 'deleted', 1), ('runs', 'scrubbed', 1), ('webhook_events', 'scrubbed', 2),
              ('quarantine', 'scrubbed', 2), ('notifications', 'deleted', 1), ('settle_queue', 'deleted', 1) $$,
    'it says what it did');
SELECT is_empty($$ SELECT pg_temp.traces('SECRETRUN-1') $$, 'the run''s id is nowhere');
SELECT isnt_empty($$ SELECT runledger.forget_generation(-2) $$, 'the run under way is forgotten too');
SELECT isnt_empty($$ SELECT runledger.forget_chat(987654321) $$, 'and the chat');
SELECT is_empty($$ SELECT pg_temp.traces('SECRET') $$, 'no word of the person is left in any table');
SELECT is_empty($$ SELECT pg_temp.traces('987654321') $$, 'nor the chat');

SELECT results_eq($$ SELECT g.status, g.duration_ms, g.cost_usd, g.response_timestamp, g.request_timestamp, s.rate_amount, s.cost_usd
                     FROM runledger.generations AS g JOIN runledger.settlements AS s ON s.generation_id = g.id WHERE g.id = -1 $$,
                  'SELECT * FROM before', 'cost, times, status and rate are as they were');
SELECT is((SELECT run_id FROM runledger.generations WHERE id = -1), runledger.pseudonym_of('SECRETRUN-1'), 'under a pseudonym');
SELECT is((SELECT telegram_chat_id FROM runledger.generations WHERE id = -1), NULL, 'of no chat');
SELECT is((SELECT count(*) FROM runledger.webhook_events), 3::bigint, 'no event is missing in the books');
SELECT results_eq($$ SELECT (runledger.try_jsonb(body)).value -> 'progress' FROM runledger.webhook_events WHERE run_id LIKE 'forgotten-%' ORDER BY event_index $$,
                  $$ VALUES ('0.5'::jsonb), ('null') $$, 'their bodies say no more than their progress');
SELECT ok((SELECT outcome IN ('unchanged', 'resettled')
           FROM runledger.settle_run(runledger.pseudonym_of('SECRETRUN-1'), '0', '7 days')),
          'it is no row that was edited by hand');
SELECT is((SELECT cost_usd FROM runledger.generations WHERE id = -1), (SELECT cost_usd FROM before),
          'settling it again changes no cost');
SELECT is_empty($$ SELECT * FROM runledger.notifications WHERE generation_id IN (-1, -2) $$, 'and tells nobody');

SELECT results_eq($$ SELECT run_id, pseudonym, is_removed FROM runledger.late_events_of('{SECRETRUN-1,SECRETRUN-2,stranger,new}') ORDER BY 1 $$,
                  $$ VALUES ('SECRETRUN-1', runledger.pseudonym_of('SECRETRUN-1'), false), ('SECRETRUN-2', runledger.pseudonym_of('SECRETRUN-2'), false) $$,
                  'a late event is known for a forgotten run''s');
SELECT results_eq($$ SELECT sum(row_count)::bigint FROM runledger.forget_generation(-1) WHERE action = 'deleted' $$, $$ VALUES (0::bigint) $$,
                  'forgetting again finds nothing to delete');
SELECT is((SELECT run_id FROM runledger.generations WHERE id = -1), runledger.pseudonym_of('SECRETRUN-1'), 'and keeps the pseudonym');
SELECT is_empty($$ SELECT runledger.forget_generation(-12345) $$, 'of a generation that is not there it says nothing');

SELECT is((SELECT metadata ->> 'name' FROM runledger.generations WHERE id = -3), 'SECRETNAME', 'the stranger''s generation stays');
SELECT is((SELECT count(*) FROM runledger.run_outputs WHERE run_id = 'stranger'), 1::bigint, 'and outputs');
SELECT is((SELECT count(*) FROM runledger.quarantine WHERE reason LIKE '%stranger%' AND content <> ''), 1::bigint, 'and quarantine');

SELECT * FROM finish();
ROLLBACK;
