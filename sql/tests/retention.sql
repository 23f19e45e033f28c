-- What is expired goes, a bounded number of rows at a time; what is wanted stays.
BEGIN;
SELECT plan(17);

CREATE FUNCTION pg_temp.add_run(p_run_id text, p_at timestamptz, ending text DEFAULT 'success') RETURNS void LANGUAGE sql AS $$
    INSERT INTO runledger.runs (run_id, terminal_status, finished_at, finished_boot_id, finished_boottime_us, finished_redelivered,
                                finished_digest, latest_at, latest_boot_id, latest_boottime_us, latest_redelivered,
                                latest_digest, latest_status, first_received_at, event_count, applied_at, changed_at)
    SELECT p_run_id, ending, e.at, e.boot, e.us, e.re, e.us, p_at, gen_random_uuid(), 1, false, 1, 'success', p_at, 1, p_at, p_at
    FROM (VALUES (CASE WHEN ending IS NOT NULL THEN p_at END, CASE WHEN ending IS NOT NULL THEN gen_random_uuid() END,
                  CASE WHEN ending IS NOT NULL THEN 1 END, CASE WHEN ending IS NOT NULL THEN false END)) AS e (at, boot, us, re);
$$;
CREATE FUNCTION pg_temp.add_settlement(p_generation bigint, p_run_id text, at timestamptz) RETURNS void LANGUAGE sql AS $$
    INSERT INTO runledger.settlements (generation_id, run_id, settled_at, outcome, why, status, finished_at, cost_note, output_count, before)
    VALUES (p_generation, p_run_id, at, 'settled', 'w', 'failed', at, 'not_charged', 0, '{}')
$$;
SELECT pg_temp.add_run('old', now() - interval '40 days');
SELECT pg_temp.add_run('old, not settled', now() - interval '40 days');
SELECT pg_temp.add_run('old, queued', now() - interval '40 days');
SELECT pg_temp.add_run('old, not ended', now() - interval '40 days', NULL);
SELECT pg_temp.add_run('young', now() - interval '20 days');
INSERT INTO runledger.generations (metadata) VALUES ('{"run_id": "old, not settled"}');
DELETE FROM runledger.settle_queue WHERE run_id = 'old, not settled';
SELECT pg_temp.add_run('old, no generation', now() - interval '40 days');
INSERT INTO runledger.runs (run_id, terminal_status, reported_status, reported_at, reported_digest, event_count, applied_at, changed_at)
VALUES ('old, only reported', 'success', 'success', now() - interval '40 days', 1, 0, now() - interval '40 days', now() - interval '40 days');
SELECT pg_temp.add_settlement(id, run_id, now() - interval '40 days')
FROM (VALUES (1, 'old'), (3, 'old, queued'), (4, 'old, not ended'), (5, 'young'), (6, 'old, only reported')) AS s (id, run_id);
INSERT INTO runledger.settle_queue (run_id) VALUES ('old, queued');
INSERT INTO runledger.run_outputs (run_id, output_key, updated_at, received_at, boot_id, boottime_us, digest, position)
VALUES ('old', 'k', now(), now(), gen_random_uuid(), 1, 1, 0);
INSERT INTO runledger.run_other_statuses (run_id, status, received_at) VALUES ('old', 'word', now());

SELECT is((runledger.remove_expired('runs', 30, 100)).removed, 3::bigint,
          'runs that are older than 30 days and settled, or without a generation, go, received or only reported');
SELECT is((runledger.remove_expired('runs', 30, 100)).removed, 0::bigint, 'and no more of them');
SELECT bag_eq($$ SELECT run_id FROM runledger.runs $$,
              $$ VALUES ('old, not settled'), ('old, queued'), ('old, not ended'), ('young') $$, 'every other run stays');
SELECT is_empty($$ SELECT * FROM runledger.run_outputs $$, 'its outputs went with it');
SELECT results_eq($$ SELECT run_id, pseudonym, is_removed FROM runledger.late_events_of('{old,young,never seen}') $$,
                  $$ VALUES ('old', NULL::text, true) $$, 'a late event of it is known for one');

INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, payload, state, created_at, sent_at, last_error)
SELECT i, 'r', 'ending', '', 1, '{}', state, now() - days * interval '1 day', CASE state WHEN 'sent' THEN now() END, 'e'
FROM (VALUES (1, 'sent', 40), (2, 'dead', 40), (3, 'pending', 40), (4, 'sent', 20)) AS n (i, state, days);
SELECT is((runledger.remove_expired('notifications', 30, 1)).removed, 1::bigint, 'no more rows than are asked for');
SELECT is((runledger.remove_expired('notifications', 30, 100)).removed, 1::bigint, 'the rest at the next time');
SELECT bag_eq($$ SELECT generation_id FROM runledger.notifications $$, $$ VALUES (3::bigint), (4) $$,
              'what is not sent yet stays, however old');

DELETE FROM runledger.settlements;
SELECT pg_temp.add_settlement(1, 'r', now() - interval '60 days');
UPDATE runledger.settlements SET is_replaced = true;
SELECT pg_temp.add_settlement(1, 'r', now() - interval '50 days');
SELECT pg_temp.add_settlement(2, 's', now() - interval '50 days');
SELECT is((runledger.remove_expired('settlements', 30, 100)).removed, 1::bigint, 'a settlement that was replaced goes');
SELECT is((SELECT count(*) FROM runledger.settlements), 2::bigint, 'the newest of each generation stays for good');

-- The row of run t was withdrawn, so that the run is billed by an earlier row's settlement, which was replaced since.
SELECT pg_temp.add_settlement(3, 't', now() - interval '60 days');
UPDATE runledger.settlements SET is_replaced = true WHERE generation_id = 3;
INSERT INTO runledger.corrections (period, posted_in, posted_at, posted_by, reason, settlement_id, line_settlement_id, generation_id,
                                   status_after)
SELECT '2020-01', '2020-02', now(), 'w', 'reopened', 0, id, 4, 'failed' FROM runledger.settlements WHERE generation_id = 3;
SELECT is((runledger.remove_expired('settlements', 30, 100)).removed, 0::bigint,
          'one that gives a closed month''s line by a correction that another one caused stays, though it was replaced');

INSERT INTO runledger.quarantine (quarantined_at, scope, reason, segment_id, batch_number, event_index, edge, content)
VALUES (now() - interval '40 days', 'event', 'r', gen_random_uuid(), 0, 0, 'e', ''), (now(), 'event', 'r', gen_random_uuid(), 0, 0, 'e', '');
SELECT is((runledger.remove_expired('quarantine', 30, 100)).removed, 1::bigint, 'what was set aside long ago goes');

INSERT INTO runledger.spool_segments (segment_id, edge, retired_at, batch_count)
VALUES ('00000000-0000-0000-0000-000000000001', 'e', now() - interval '40 days', 1),
       ('00000000-0000-0000-0000-000000000002', 'e', now() - interval '20 days', 1),
       ('00000000-0000-0000-0000-000000000003', 'e', NULL, NULL);
SELECT is((runledger.remove_expired('tombstones', 30, 100)).removed, 1::bigint, 'an old tombstone goes');
SELECT is((SELECT count(*) FROM runledger.spool_segments), 2::bigint, 'open segments and young tombstones stay');

SELECT throws_ok($$ SELECT runledger.remove_expired('runs', 0, 1) $$, 'P0001', NULL, 'no retention of less than a day');
SELECT throws_ok($$ SELECT runledger.remove_expired('runs', NULL, 1) $$, 'P0001', NULL, 'nor of none');
SELECT throws_ok($$ SELECT runledger.remove_expired('generations', 1, 1) $$, 'P0001', NULL, 'generations are not removed');

SELECT * FROM finish();
ROLLBACK;
