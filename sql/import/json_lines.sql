-- Imports generations from a document store: one JSON document a line, as mongoexport and its like write them.
--
--     psql 'postgresql:///studio' -f sql/import/json_lines.sql < generations.jsonl
--
-- All or nothing: lines that can't be imported are listed with the reason, and then none is. A document whose run_id is
-- there already is passed by, so an import may be repeated, with what has come since.
--
-- Of each document are read: metadata (run_id, costRate, gpu, telegramChatId and anything else), requestTimestamp,
-- requestPayload; and, of one that has ended, status, responseTimestamp, responsePayload, durationMs, costUsd. Dates and
-- decimals may be MongoDB's {"$date": …} and {"$numberDecimal": …}. What is named otherwise in your store is renamed
-- below. A row imported as ended is kept as it is, and nobody is told of it.
\set ON_ERROR_STOP on
\set QUIET on
BEGIN;
CREATE TEMPORARY TABLE lines (number bigint GENERATED ALWAYS AS IDENTITY, line text NOT NULL) ON COMMIT DROP;
CREATE TEMPORARY TABLE refused (number bigint NOT NULL, reason text NOT NULL, line text NOT NULL) ON COMMIT DROP;
CREATE TEMPORARY TABLE imported (number bigint NOT NULL) ON COMMIT DROP;

-- COPY's text format would take JSON's backslashes for its own, and CSV the quotes: control characters, which JSON has
-- only escaped, stand in for both.
\copy lines (line) FROM pstdin WITH (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02', NULL E'\x03')

DO $$
DECLARE
    each record;
    document jsonb;
BEGIN
    FOR each IN SELECT number, line FROM lines WHERE line ~ '\S' ORDER BY number LOOP
        BEGIN
            document := each.line::jsonb;
            IF jsonb_typeof(document) <> 'object' OR jsonb_typeof(document -> 'metadata') IS DISTINCT FROM 'object' THEN
                RAISE data_exception USING MESSAGE = 'no document with an object metadata';
            END IF;
            INSERT INTO runledger.generations (
                metadata, request_timestamp, request_payload, status, response_timestamp, response_payload, duration_ms,
                cost_usd)
            VALUES (
                document -> 'metadata',
                coalesce(document #>> '{requestTimestamp,$date}', document ->> 'requestTimestamp')::timestamptz,
                document -> 'requestPayload',
                coalesce(document ->> 'status', 'pending'),
                coalesce(document #>> '{responseTimestamp,$date}', document ->> 'responseTimestamp')::timestamptz,
                document -> 'responsePayload',
                coalesce(document #>> '{durationMs,$numberDecimal}', document ->> 'durationMs')::numeric,
                coalesce(document #>> '{costUsd,$numberDecimal}', document ->> 'costUsd')::numeric)
            ON CONFLICT DO NOTHING;
            IF FOUND THEN
                INSERT INTO imported VALUES (each.number);
            END IF;
        EXCEPTION
            -- The document's own fault; anything else ends the import by itself.
            WHEN data_exception OR integrity_constraint_violation THEN
                INSERT INTO refused VALUES (each.number, SQLERRM, left(each.line, 60));
        END;
    END LOOP;
END
$$;

\pset format unaligned
\pset tuples_only on
SELECT format('line %s: %s: %s', number, reason, line) FROM refused ORDER BY number;
DO $$
BEGIN
    IF EXISTS (SELECT FROM refused) THEN
        RAISE EXCEPTION '% of % lines were refused: nothing was imported',
            (SELECT count(*) FROM refused), (SELECT count(*) FROM lines WHERE line ~ '\S');
    END IF;
END
$$;
SELECT format('%s generations imported, %s were there already', (SELECT count(*) FROM imported),
              (SELECT count(*) FROM lines WHERE line ~ '\S') - (SELECT count(*) FROM imported));
COMMIT;
