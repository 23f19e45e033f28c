-- What retention must leave beside what it removes: rows that are in use, and rows over the bound of a step.
BEGIN;
SELECT plan(10);

INSERT INTO runledger.runs (run_id, terminal_status, reported_status, reported_at, reported_digest, event_count, applied_at, changed_at)
SELECT run_id, 'success', 'success', now(), 1, 0, now() - days * interval '1 day', now() - days * interval '1 day'
FROM (VALUES ('old', 40), ('young', 20)) AS r (run_id, days);
INSERT INTO runledger.provider_reports (run_id, digest, status, output_count, body)
VALUES ('old', 1, 'success', 0, '{}'), ('young', 1, 'success', 0, '{}');
SELECT is((runledger.remove_expired('runs', 30, 100)).removed, 1::bigint, 'an old run goes');
SELECT bag_eq($$ SELECT run_id FROM runledger.provider_reports $$, $$ VALUES ('young') $$,
              'and what the provider said of it, but of no other');

INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, payload, state, created_at, sending_at, lease_owner, lease_until)
VALUES (1, 'r', 'ending', '', 1, '{}', 'leased', now() - interval '40 days', now(), 'a daemon', now() + interval '1 minute');
SELECT is((runledger.remove_expired('notifications', 30, 100)).removed, 0::bigint, 'a message that is being sent stays, however old');

INSERT INTO runledger.quarantine (quarantined_at, scope, reason, segment_id, batch_number, event_index, edge, content)
SELECT now() - days * interval '1 day', 'event', 'r', gen_random_uuid(), 0, 0, 'day ' || days, ''
FROM (VALUES (50), (41), (40), (20)) AS q (days);
SELECT is((runledger.remove_expired('quarantine', 30, 2)).removed, 2::bigint, 'no more rows than are asked for');
SELECT bag_eq($$ SELECT edge FROM runledger.quarantine $$, $$ VALUES ('day 40'), ('day 20') $$, 'the oldest go first');

INSERT INTO runledger.spool_segments (segment_id, edge, retired_at, batch_count)
VALUES ('00000000-0000-0000-0000-000000000001', 'e', now() - interval '40 days', 1),
       ('00000000-0000-0000-0000-000000000002', 'e', now() - interval '41 days', 1);
INSERT INTO runledger.ingested_batches (segment_id, batch_number, digest, event_count)
VALUES ('00000000-0000-0000-0000-000000000001', 0, decode(repeat('00', 16), 'hex'), 1);
SELECT is((runledger.remove_expired('tombstones', 30, 100)).removed, 1::bigint, 'a tombstone goes');
SELECT is((SELECT segment_id::text FROM runledger.spool_segments), '00000000-0000-0000-0000-000000000001',
          'but not that of a segment whose batches are still known');

SELECT throws_ok($$ SELECT runledger.remove_expired('runs', 30, 0) $$, 'P0001', NULL, 'no step of no rows');
SELECT throws_ok($$ SELECT runledger.remove_expired('runs', 30, 100001) $$, 'P0001', NULL, 'nor of too many');
SELECT throws_ok($$ SELECT runledger.drop_event_day((now() AT TIME ZONE 'UTC')::date - 1) $$, 'P0001', NULL,
                 'yesterday''s events are not dropped');

SELECT * FROM finish();
ROLLBACK;
