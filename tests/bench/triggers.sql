-- Inserts :rows generations from number :first on, one transaction each, has their runs end, and settles them in turns,
-- as the daemon does. With :keys, each has an account and a tool and is a member of a group of five; without, none.
-- Prints microseconds a row: INSERT, settle, and the look at the groups. Included by triggers.sh, in each of two databases.
\set ON_ERROR_STOP on
\set QUIET on
\pset format unaligned
\pset tuples_only on

CREATE PROCEDURE pg_temp.insert_rows(first_number integer, rows integer, has_keys boolean) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN first_number .. first_number + rows - 1 LOOP
        INSERT INTO runledger.generations (metadata)
        SELECT jsonb_build_object('run_id', md5('triggers ' || i)::uuid, 'telegramChatId', 100000 + i % 2000, 'gpu', 'A10G',
                                  'costRate', '{"amount": 0.000337, "currency": "USD", "unit": "second"}'::jsonb)
            || CASE WHEN has_keys THEN jsonb_build_object('groupId', 'group ' || i / 5, 'groupSize', 5,
                                                          'accountId', 'account ' || i % 100, 'tool', 'draw')
                    ELSE '{}' END;
        COMMIT;
    END LOOP;
END
$$;

CREATE PROCEDURE pg_temp.settle_rows() LANGUAGE plpgsql AS $$
DECLARE
    turn_rows CONSTANT integer := 128;
    ids bigint[];
    runs text[];
BEGIN
    LOOP
        SELECT array_agg(q.id), array_agg(q.run_id) INTO ids, runs
            FROM (SELECT id, run_id FROM runledger.settle_queue WHERE attempts = 0
                  ORDER BY queued_in, id LIMIT turn_rows FOR UPDATE SKIP LOCKED) AS q;
        EXIT WHEN ids IS NULL;
        PERFORM * FROM runledger.settle_runs(runs, interval '3 seconds', interval '7 days');
        DELETE FROM runledger.settle_queue WHERE id = ANY (ids);
        COMMIT;
    END LOOP;
END
$$;

CREATE PROCEDURE pg_temp.look_at_groups() LANGUAGE plpgsql AS $$
DECLARE
    is_done boolean;
BEGIN
    LOOP
        SELECT g.is_all INTO is_done FROM runledger.tell_groups('0', 1000) AS g;
        COMMIT;
        EXIT WHEN is_done;
    END LOOP;
END
$$;

-- Nothing of an earlier round is left to be looked at.
DELETE FROM runledger.settle_queue;
DELETE FROM runledger.group_queue;
VACUUM ANALYZE runledger.settle_queue, runledger.group_queue, runledger.generations, runledger.runs, runledger.settlements;
CHECKPOINT;

CREATE TEMPORARY TABLE instants AS SELECT 0 AS step, clock_timestamp() AS at;
CALL pg_temp.insert_rows(:first, :rows, :keys);
INSERT INTO instants VALUES (1, clock_timestamp());
INSERT INTO runledger.runs (
    run_id, queued_at, running_at, running_boot_id, running_boottime_us, running_redelivered, terminal_status,
    finished_at, finished_boot_id, finished_boottime_us, finished_redelivered, finished_digest, latest_at,
    latest_boot_id, latest_boottime_us, latest_redelivered, latest_digest, latest_status, first_received_at,
    event_count, applied_at, changed_at)
SELECT run_id, now() - interval '20 seconds', now() - interval '12 seconds', boot_id, 1000000, false, 'success', now(),
       boot_id, 13000000, false, 1, now(), boot_id, 13000000, false, 1, 'success', now() - interval '20 seconds', 4,
       now(), now()
FROM (SELECT md5('triggers ' || i)::uuid::text AS run_id, '6ba7b810-9dad-41d1-80b4-00c04fd430c8'::uuid AS boot_id
      FROM generate_series(:first, :first + :rows - 1) AS i) AS made;
INSERT INTO instants VALUES (2, clock_timestamp());
CALL pg_temp.settle_rows();
INSERT INTO instants VALUES (3, clock_timestamp());
CALL pg_temp.look_at_groups();
INSERT INTO instants VALUES (4, clock_timestamp());
SELECT CASE WHEN count(*) <> :rows THEN 1 / (count(*) - count(*)) END  -- Each was settled, or it is no measurement.
FROM runledger.settlements AS s JOIN runledger.generations AS g ON g.id = s.generation_id
WHERE g.run_id IN (SELECT md5('triggers ' || i)::uuid::text FROM generate_series(:first, :first + :rows - 1) AS i)
\g /dev/null
SELECT string_agg(round(extract(epoch FROM took) * 1000000 / :rows, 1)::text, ' ' ORDER BY step)
FROM (SELECT step, at - lag(at) OVER (ORDER BY step) AS took FROM instants) AS steps
WHERE step IN (1, 3, 4);
