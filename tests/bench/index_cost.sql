-- What the views' indexes on generations cost a settlement: the life of 100,000 rows (inserted, seen running, settled, in
-- groups of twenty as they come and go), with and without them. Makes a table of its own and drops it.
--
--     psql 'postgresql:///scratch' -f tests/bench/index_cost.sql
\set ON_ERROR_STOP on
\set QUIET on
\pset format unaligned
\pset tuples_only on
SET synchronous_commit = off;

CREATE PROCEDURE pg_temp.live(rows integer) LANGUAGE plpgsql AS $$
BEGIN
    FOR first_id IN 1 .. rows BY 20 LOOP
        INSERT INTO runledger.made (id, metadata)
        SELECT i, jsonb_build_object('run_id', md5(i::text)::uuid, 'telegramChatId', 100000 + i % 2000, 'gpu', 'A10G',
                                     'costRate', '{"amount": 0.000337, "currency": "USD", "unit": "second"}'::jsonb)
        FROM generate_series(first_id, first_id + 19) AS i;
        COMMIT;
        UPDATE runledger.made SET status = 'processing', updated_at = clock_timestamp()
            WHERE id BETWEEN first_id AND first_id + 19;
        COMMIT;
        UPDATE runledger.made SET
            status = 'completed', response_timestamp = clock_timestamp(), duration_ms = 12345.678,
            cost_usd = 0.004160493486, updated_at = clock_timestamp(),
            response_payload = '{"outputs": [{"id": "one", "url": "https://example.com/one.png"}]}'
            WHERE id BETWEEN first_id AND first_id + 19;
        COMMIT;
    END LOOP;
END
$$;

CREATE TABLE runledger.made (LIKE runledger.generations INCLUDING ALL);
CREATE TEMPORARY TABLE before AS SELECT clock_timestamp() AS at, pg_current_wal_insert_lsn() AS wal;
CALL pg_temp.live(100000);
SELECT format('every index:                %s us and %s bytes of WAL a row',
              round(extract(epoch FROM clock_timestamp() - at) * 10, 1), round((pg_current_wal_insert_lsn() - wal) / 100000))
FROM before;
SELECT pg_stat_force_next_flush();
SELECT format('                            %s of 200000 updates HOT', pg_stat_get_tuples_hot_updated('runledger.made'::regclass));

DROP TABLE runledger.made;
CREATE TABLE runledger.made (LIKE runledger.generations INCLUDING ALL EXCLUDING INDEXES, PRIMARY KEY (id), UNIQUE (run_id));
UPDATE before SET at = clock_timestamp(), wal = pg_current_wal_insert_lsn();
CALL pg_temp.live(100000);
SELECT format('the two constraints'' alone: %s us and %s bytes of WAL a row',
              round(extract(epoch FROM clock_timestamp() - at) * 10, 1), round((pg_current_wal_insert_lsn() - wal) / 100000))
FROM before;
SELECT pg_stat_force_next_flush();
SELECT format('                            %s of 200000 updates HOT', pg_stat_get_tuples_hot_updated('runledger.made'::regclass));
DROP TABLE runledger.made;
