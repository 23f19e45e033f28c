-- Day partitions: made, filled from the DEFAULT one, dropped; never a row lost.
BEGIN;
SELECT plan(14);

CREATE FUNCTION pg_temp.add_events(at timestamptz, how_many integer) RETURNS void LANGUAGE sql AS $$
    INSERT INTO runledger.webhook_events (applied_at, segment_id, batch_number, event_index, edge, received_at, boot_id,
                                          boottime_us, redelivered, run_id, event_type, status, body)
    SELECT at, gen_random_uuid(), 0, i, 'edge', at, gen_random_uuid(), 1, false, 'run-' || i, 'run.updated', 'running', '{}'
    FROM generate_series(1, how_many) AS i
$$;
SET LOCAL TimeZone = 'Asia/Tokyo';  -- Days are UTC's, whatever the session says.
DELETE FROM runledger.webhook_events;
SELECT pg_temp.add_events('2020-03-01 00:00:00+00', 3);
SELECT pg_temp.add_events('2020-02-29 23:59:59.999999+00', 2);

SELECT results_eq($$ SELECT day, is_partition FROM runledger.find_event_days() WHERE day < '2020-12-31' ORDER BY day $$,
                  $$ VALUES ('2020-02-29'::date, false), ('2020-03-01', false) $$, 'it finds the days of the DEFAULT partition');
SELECT is(runledger.make_event_day('2020-03-01'), 'made, with 3 events that came before it', 'a day takes its events along');
SELECT is(runledger.make_event_day('2020-03-01'), 'exists', 'making it again does nothing');
SELECT is(runledger.make_event_day('2020-03-02'), 'made', 'a day without events is made too');
SELECT is((SELECT count(*) FROM runledger.webhook_events), 5::bigint, 'no event is lost or doubled');
SELECT is((SELECT count(*) FROM runledger.webhook_events_20200301), 3::bigint, 'the day has its events');
SELECT is((SELECT count(*) FROM ONLY runledger.webhook_events_default), 2::bigint, 'the DEFAULT partition has the others');
SELECT pg_temp.add_events('2020-03-02 12:00:00+00', 1);
SELECT is((SELECT count(*) FROM runledger.webhook_events_20200302), 1::bigint, 'what comes later goes to its day');
SELECT is_empty($$ SELECT conname FROM pg_constraint WHERE conrelid = 'runledger.webhook_events_20200301'::regclass AND contype = 'c' $$,
                'the CHECK that attaching leant on is gone');
SELECT set_eq($$ SELECT am.amname::text FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS am ON am.oid = c.relam
                 WHERE i.indrelid = 'runledger.webhook_events_20200301'::regclass $$, $$ VALUES ('btree'), ('brin') $$,
              'each partition has the index on run_id and the BRIN on received_at');
SELECT ok(runledger.drop_event_day('2020-03-01'), 'a day is dropped');
SELECT is((SELECT count(*) FROM runledger.webhook_events), 3::bigint, 'with its events, and no other');
SELECT ok(NOT runledger.drop_event_day('2020-03-01'), 'dropping it again does nothing');
SELECT throws_ok($$ SELECT runledger.drop_event_day((now() AT TIME ZONE 'UTC')::date - 1) $$, 'P0001', NULL,
                 'the last two days are never dropped');

SELECT * FROM finish();
ROLLBACK;
