-- Imports generations from a document store: one JSON document a line, as mongoexport and its like write them.
--
--     psql 'postgresql:///studio' -f sql/import/json_lines.sql < generations.jsonl
--
-- All or nothing: lines that can't be imported are listed with the reason, and then none is. A document whose run_id is
-- there already is passed by, so an import may be repeated, with what has come since.
--
-- Of each document are read: metadata (run_id, costRate, gpu, telegramChatId and anything else), requestTimestamp,
-- requestPayload; and, of one that has ended, status, responseTimestamp, responsePayload, durationMs, costUsd. MongoDB's
-- extended JSON ({"$date": …}, {"$numberLong": …}, {"$oid": …}, relaxed or canonical) is read wherever it stands, in
-- metadata and payloads, too. What is named otherwise in your store is renamed below. A row imported as ended is kept as it is, and nobody is told of it.
\set ON_ERROR_STOP on
\set QUIET on
BEGIN;
CREATE TEMPORARY TABLE lines (number bigint GENERATED ALWAYS AS IDENTITY, line text NOT NULL) ON COMMIT DROP;
CREATE TEMPORARY TABLE refused (number bigint NOT NULL, reason text NOT NULL, line text NOT NULL) ON COMMIT DROP;
CREATE TEMPORARY TABLE imported (number bigint NOT NULL) ON COMMIT DROP;

-- COPY's text format would take JSON's backslashes for its own, and CSV the quotes: control characters, which JSON has
-- only escaped, stand in for both.
\copy lines (line) FROM pstdin WITH (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02', NULL E'\x03')

-- Without extended JSON's wrappers: numbers as numbers, dates in ISO 8601, ids as strings.
CREATE FUNCTION pg_temp.plain(given jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    wrapper text;
    said text;
BEGIN
    IF jsonb_typeof(given) = 'array' THEN
        RETURN (SELECT coalesce(jsonb_agg(pg_temp.plain(listed.entry) ORDER BY listed.place), '[]')
                FROM jsonb_array_elements(given) WITH ORDINALITY AS listed (entry, place));
    ELSIF jsonb_typeof(given) <> 'object' THEN
        RETURN given;
    END IF;
    SELECT min(key) INTO wrapper FROM jsonb_object_keys(given) AS key HAVING count(*) = 1;
    said := given ->> wrapper;
    IF wrapper IN ('$numberInt', '$numberLong', '$numberDouble', '$numberDecimal') THEN
        RETURN CASE WHEN said ~ '^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$' THEN to_jsonb(said::numeric)
                    ELSE to_jsonb(said) END;  -- NaN and Infinity, which JSON has no numbers for.
    ELSIF wrapper = '$date' THEN
        said := pg_temp.plain(given -> wrapper) #>> '{}';
        RETURN CASE WHEN said ~ '^-?[0-9]{1,15}$'
                    THEN to_jsonb(to_char(timestamp 'epoch' + said::bigint * interval '1 millisecond',
                                          'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
                    ELSE to_jsonb(said) END;
    ELSIF wrapper = '$oid' THEN
        RETURN to_jsonb(said);
    END IF;
    RETURN (SELECT coalesce(jsonb_object_agg(member.key, pg_temp.plain(member.value)), '{}')
            FROM jsonb_each(given) AS member);
END
$$;

DO $$
DECLARE
    each record;
    document jsonb;
BEGIN
    FOR each IN SELECT number, line FROM lines WHERE line ~ '\S' ORDER BY number LOOP
        BEGIN
            document := pg_temp.plain(each.line::jsonb);
            IF jsonb_typeof(document) <> 'object' OR jsonb_typeof(document -> 'metadata') IS DISTINCT FROM 'object' THEN
                RAISE data_exception USING MESSAGE = 'no document with an object metadata';
            END IF;
            INSERT INTO runledger.generations (
                metadata, request_timestamp, request_payload, status, response_timestamp, response_payload, duration_ms,
                cost_usd)
            VALUES (
                document -> 'metadata',
                (document ->> 'requestTimestamp')::timestamptz,
                document -> 'requestPayload',
                coalesce(document ->> 'status', 'pending'),
                (document ->> 'responseTimestamp')::timestamptz,
                document -> 'responsePayload',
                (document ->> 'durationMs')::numeric,
                (document ->> 'costUsd')::numeric)
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
