-- Importing generations from a document store. `runledger import` calls import_documents with lines of a file.
CREATE OR REPLACE FUNCTION runledger.plain_json(given jsonb, p_keeps_types boolean DEFAULT false) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wrapper text;
    said text;
BEGIN
    IF jsonb_typeof(given) = 'array' THEN
        RETURN (SELECT coalesce(jsonb_agg(runledger.plain_json(listed.entry, p_keeps_types) ORDER BY listed.place), '[]')
                FROM jsonb_array_elements(given) WITH ORDINALITY AS listed (entry, place));
    ELSIF jsonb_typeof(given) IS DISTINCT FROM 'object' THEN
        RETURN given;
    END IF;
    SELECT min(key) INTO wrapper FROM jsonb_object_keys(given) AS key HAVING count(*) = 1;
    said := given ->> wrapper;
    IF wrapper IN ('$numberInt', '$numberLong', '$numberDouble', '$numberDecimal') THEN
        IF said ~ '^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,4})?$' THEN
            RETURN to_jsonb(said::numeric);
        END IF;  -- Else NaN and Infinity, which JSON has no numbers for.
        wrapper := '$number';
    ELSIF wrapper = '$date' THEN
        said := runledger.plain_json(given -> wrapper) #>> '{}';
        -- Years that ISO 8601 writes with four digits.
        IF said ~ '^-?[0-9]{1,15}$' AND said::bigint BETWEEN -62135596800000 AND 253402300799999 THEN
            said := to_char(timestamp 'epoch' + said::bigint * interval '1 millisecond',
                            'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
        END IF;
    ELSIF wrapper IS NULL OR wrapper NOT IN ('$oid', '$uuid', '$symbol') THEN
        RETURN (SELECT coalesce(jsonb_object_agg(member.key, runledger.plain_json(member.value, p_keeps_types)), '{}')
                FROM jsonb_each(given) AS member);
    END IF;
    RETURN CASE WHEN p_keeps_types THEN jsonb_build_object(wrapper, said) ELSE to_jsonb(said) END;
END
$$;
COMMENT ON FUNCTION runledger.plain_json(jsonb, boolean) IS
    'MongoDB''s extended JSON, relaxed or canonical, without its wrappers: numbers as numbers, dates in ISO 8601, ids as strings. p_keeps_types: dates, ids and the like keep a wrapper, so that values of two types are two.';

CREATE OR REPLACE FUNCTION runledger.amount_said(document jsonb, p_key text) RETURNS numeric
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    amount numeric;
BEGIN
    amount := document ->> p_key;
    -- However the words are written.
    RETURN CASE WHEN amount NOT IN ('NaN', 'Infinity', '-Infinity') THEN amount END;
EXCEPTION WHEN data_exception THEN
    RAISE data_exception USING MESSAGE = format('%s is no number', p_key);
END
$$;
COMMENT ON FUNCTION runledger.amount_said(jsonb, text) IS
    'The number that a document has for a key; NULL for NaN and Infinity, which are unknown. Raises data_exception if it is none.';

CREATE OR REPLACE FUNCTION runledger.instant_said(document jsonb, p_key text) RETURNS timestamptz
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' AS $$
DECLARE
    said text := document ->> p_key;
    instant timestamptz;
BEGIN
    IF said !~ '[0-9]' THEN  -- A word, such as now or infinity.
        RAISE data_exception;
    END IF;
    instant := said::timestamptz;
    IF runledger.usual_time(instant) IS DISTINCT FROM instant THEN
        RAISE data_exception;
    END IF;
    RETURN instant;
EXCEPTION WHEN data_exception THEN
    RAISE data_exception USING MESSAGE = format('%s is no time of the years 1970 to 9999', p_key);
END
$$;
COMMENT ON FUNCTION runledger.instant_said(jsonb, text) IS
    'The instant that a document has for a key, in UTC if it names no zone. Raises data_exception if it is none, or none of the years 1970 to 9999.';

CREATE OR REPLACE FUNCTION runledger.key_that_says(document jsonb, p_keys text[]) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT asked.key FROM unnest(p_keys) WITH ORDINALITY AS asked (key, place)
            WHERE document ->> asked.key IS NOT NULL ORDER BY asked.place LIMIT 1);
COMMENT ON FUNCTION runledger.key_that_says(jsonb, text[]) IS
    'The first of the keys for which the document has a value that is not null; NULL: it has none.';

CREATE OR REPLACE FUNCTION runledger.import_document(
    p_document jsonb, p_requested_at text[] DEFAULT '{requestTimestamp}',
    p_ended_at text[] DEFAULT '{responseTimestamp}', OUT outcome text, OUT is_undated boolean)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- What has a column of its own, beside the times; everything else is kept in metadata.
    mapped constant text[] := '{metadata,requestPayload,status,responsePayload,durationMs,costUsd}';
    document jsonb := runledger.plain_json(p_document);
    requested_key constant text := runledger.key_that_says(document, p_requested_at);
    ended_key constant text := runledger.key_that_says(document, p_ended_at);
    wanted runledger.generations;
    word text := document ->> 'status';
    -- NULL: the document has no _id.
    digest bytea := sha256(convert_to(
        runledger.plain_json(nullif(p_document -> '_id', 'null'), true)::text, 'UTF8'));
    content text;
    known runledger.imported_documents;
    is_settled boolean;
    is_open boolean;
    was runledger.generations;
BEGIN
    is_undated := false;
    IF jsonb_typeof(document) IS DISTINCT FROM 'object' OR jsonb_typeof(document -> 'metadata') IS DISTINCT FROM 'object' THEN
        RAISE data_exception USING MESSAGE = 'it is no document with an object metadata';
    END IF;
    wanted.metadata := document - mapped - ARRAY(
            SELECT asked.key FROM unnest(p_requested_at || p_ended_at) AS asked (key)
            WHERE asked.key IN (requested_key, ended_key) OR document ->> asked.key IS NULL)
        || (document -> 'metadata');
    wanted.request_timestamp := runledger.instant_said(document, requested_key);
    IF wanted.request_timestamp IS NULL THEN
        RAISE data_exception USING MESSAGE = 'it has no ' || array_to_string(p_requested_at, ' and no ');
    END IF;
    wanted.request_payload := document -> 'requestPayload';
    wanted.status := coalesce(runledger.status_meant(word), word, 'pending');
    IF wanted.status NOT IN ('pending', 'processing', 'completed', 'failed', 'cancelled') THEN
        RAISE data_exception USING MESSAGE =
            format('nobody has said what its status %s means: put the word into status_words', quote_literal(left(word, 40)));
    END IF;
    wanted.response_timestamp := runledger.instant_said(document, ended_key);
    wanted.response_payload := document -> 'responsePayload';
    wanted.duration_ms := runledger.amount_said(document, 'durationMs');
    wanted.cost_usd := runledger.amount_said(document, 'costUsd');
    -- With its times: the same document has others if other keys are given.
    content := md5(concat_ws(' ', document, extract(epoch FROM wanted.request_timestamp),
                             extract(epoch FROM wanted.response_timestamp)));

    SELECT * INTO known FROM runledger.imported_documents WHERE document_digest = digest;
    IF known.document_digest IS NULL THEN
        INSERT INTO runledger.generations (
            metadata, request_timestamp, request_payload, status, response_timestamp, response_payload, duration_ms,
            cost_usd, adopted_at)
        VALUES (wanted.metadata, wanted.request_timestamp, wanted.request_payload, wanted.status,
                wanted.response_timestamp, wanted.response_payload, wanted.duration_ms, wanted.cost_usd,
                CASE WHEN runledger.is_ended(wanted.status) THEN now() END)
        ON CONFLICT (run_id) DO NOTHING
        RETURNING id INTO wanted.id;
        IF wanted.id IS NULL AND digest IS NOT NULL THEN
            -- Nothing says that it was made of this document.
            RAISE data_exception USING MESSAGE = 'another generation has its run_id';
        ELSIF wanted.id IS NULL THEN
            outcome := 'repeated';
            RETURN;
        END IF;
        IF word IS DISTINCT FROM wanted.status THEN
            UPDATE runledger.generations SET application_status = word, updated_at = runledger.later_than(updated_at)
                WHERE id = wanted.id;
        END IF;
        INSERT INTO runledger.imported_documents (document_digest, generation_id, content_md5)
        VALUES (coalesce(digest, sha256(decode('ff', 'hex') || convert_to(wanted.id::text, 'UTF8'))), wanted.id, content)
        ON CONFLICT (document_digest) DO UPDATE SET generation_id = excluded.generation_id;  -- A number that is used again.
        outcome := 'imported';
        is_undated := runledger.is_ended(wanted.status) AND wanted.response_timestamp IS NULL;
        RETURN;
    END IF;
    IF known.content_md5 = content OR known.generation_id IS NULL THEN
        outcome := 'repeated';
        RETURN;
    END IF;

    UPDATE runledger.imported_documents SET content_md5 = content WHERE document_digest = digest;
    -- What the ledger has settled, and what the row was given as its ending before, stays.
    SELECT * INTO was FROM runledger.generations AS g WHERE g.id = known.generation_id FOR NO KEY UPDATE;
    is_settled := EXISTS (SELECT FROM runledger.settlements AS s WHERE s.generation_id = was.id);
    is_open := was.status IN ('pending', 'processing') AND NOT is_settled;
    UPDATE runledger.generations SET
        metadata = wanted.metadata,
        request_timestamp = wanted.request_timestamp,
        request_payload = wanted.request_payload,
        status = CASE WHEN is_open THEN wanted.status ELSE status END,
        application_status = CASE WHEN is_open AND word IS DISTINCT FROM wanted.status THEN word ELSE application_status END,
        -- Also the time of an ending that the row was given without one.
        response_timestamp = CASE WHEN is_open OR response_timestamp IS NULL AND status = wanted.status AND NOT is_settled
                                  THEN wanted.response_timestamp ELSE response_timestamp END,
        response_payload = CASE WHEN is_open THEN wanted.response_payload ELSE response_payload END,
        duration_ms = CASE WHEN is_open THEN wanted.duration_ms ELSE duration_ms END,
        cost_usd = CASE WHEN is_open THEN wanted.cost_usd ELSE cost_usd END,
        -- As for a document that comes with its ending: nobody is notified about what the application knows.
        adopted_at = CASE WHEN is_open AND runledger.is_ended(wanted.status) THEN now() ELSE adopted_at END,
        updated_at = runledger.later_than(updated_at)
    WHERE id = known.generation_id
    RETURNING runledger.is_ended(status) AND response_timestamp IS NULL INTO is_undated;
    outcome := CASE WHEN FOUND THEN 'changed' ELSE 'repeated' END;
    is_undated := coalesce(is_undated, false);
END
$$;
COMMENT ON FUNCTION runledger.import_document(jsonb, text[], text[]) IS
    'Makes a generation of a document, or gives the generation that it became what is new in it: imported, changed, or repeated (nothing new). An ending of a row that has one stays. p_requested_at, p_ended_at: the keys of its times; of each the first that is not null counts. is_undated: it was imported or changed, and has ended at an unknown time, so no view of costs has it. Raises data_exception or integrity_constraint_violation if the document can''t be imported.';

CREATE OR REPLACE FUNCTION runledger.import_lines(
    p_source text, p_numbers bigint[], p_lines bytea[], p_requested_at text[], p_ended_at text[],
    OUT line_number bigint, OUT outcome text, OUT reason text, OUT is_undated boolean)
    RETURNS SETOF record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    line bytea;
BEGIN
    FOR line_number, line IN
        SELECT given.number, given.line FROM unnest(p_numbers, p_lines) AS given (number, line) ORDER BY given.number
    LOOP
        BEGIN
            IF line IS NULL THEN
                RAISE data_exception USING MESSAGE = 'it is longer than any document';
            END IF;
            SELECT made.outcome, made.is_undated INTO import_lines.outcome, import_lines.is_undated
                FROM runledger.import_document(convert_from(line, 'UTF8')::jsonb, p_requested_at, p_ended_at) AS made;
            reason := NULL;
            DELETE FROM runledger.import_refusals AS old
                WHERE old.source = p_source AND old.line_number = import_lines.line_number;
        EXCEPTION
            -- The line's own fault; anything else ends the import by itself.
            WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded THEN
                outcome := 'refused';
                is_undated := false;
                reason := left(SQLERRM, 300);
                INSERT INTO runledger.import_refusals (source, line_number, reason)
                VALUES (p_source, import_lines.line_number, import_lines.reason)
                ON CONFLICT ON CONSTRAINT import_refusals_pkey DO UPDATE
                    SET reason = excluded.reason, refused_at = excluded.refused_at;
        END;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION runledger.import_lines(text, bigint[], bytea[], text[], text[]) IS
    'Imports these lines of a source, in their order, each for itself. outcome: imported, changed, repeated, or refused with the reason, which import_refusals keeps. The keys and is_undated: as in import_document.';
