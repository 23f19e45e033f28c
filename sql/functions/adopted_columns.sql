-- The triggers of an adopted table, whose own columns are kept beside the ledger's (docs/ARCHITECTURE.md, "Decisions").
-- The application's column is application_<name>; the view by the table's old name shows it as <name>. Each trigger
-- exists only if its column does (daemon/database/adopt.cpp). They fire in the application's transactions, so reading
-- never raises. migrate runs this file before the versioned ones, too.
CREATE OR REPLACE FUNCTION runledger.number_said(said text) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN octet_length(said) <= 1000 AND said ~ '^\+?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$'
                THEN CASE WHEN said::numeric < 9e15 THEN said::numeric END END;
COMMENT ON FUNCTION runledger.number_said(text) IS
    'The number that a text says, with all its digits; NULL if it says none, a negative one, one of 9·10^15 or more, NaN or Infinity. Never raises.';

CREATE OR REPLACE FUNCTION runledger.usual_time(p_at timestamptz) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN p_at BETWEEN timestamptz '1970-01-01 00:00:00+00' AND timestamptz '9999-12-31 23:59:59.999999+00'
                THEN p_at END;
COMMENT ON FUNCTION runledger.usual_time(timestamptz) IS
    'The instant, if it lies in the years 1970 to 9999 of UTC; else NULL, as for infinity. Never raises.';

CREATE OR REPLACE FUNCTION runledger.time_said(said text) RETURNS timestamptz
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC'
    SET DateStyle = 'ISO, YMD' AS $$
BEGIN
    -- Without a digit it is a word, such as now or infinity.
    RETURN CASE WHEN said ~ '[0-9]' THEN runledger.usual_time(said::timestamptz) END;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION runledger.time_said(text) IS
    'The instant that a text says, in UTC if it names no zone; NULL if it says none, or none of the years 1970 to 9999. Never raises.';

CREATE OR REPLACE FUNCTION runledger.json_said(said text) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN said::jsonb;
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION runledger.json_said(text) IS
    'The JSON that a text holds; NULL if it holds none that jsonb can hold. Never raises.';

-- What status_words says since its last change: a function, because a trigger would read the table with the snapshot of the
-- application's transaction, which can be older than the change. Functions are looked up without that snapshot. It is
-- STABLE, because PostgreSQL would not make a plan anew into which it has taken the result of an IMMUTABLE one.
-- use_status_words replaces it, so it is made once.
DO $$
BEGIN
    IF to_regprocedure('runledger.status_words_in_force()') IS NULL THEN
        CREATE FUNCTION runledger.status_words_in_force() RETURNS jsonb
            LANGUAGE sql STABLE PARALLEL SAFE
            RETURN '{"meant": {}, "written": {}, "kept": []}'::jsonb;
    END IF;
END
$$;
COMMENT ON FUNCTION runledger.status_words_in_force() IS
    'The content of status_words: meant has the status of each word, written the word that is written for each status, kept the words that are never replaced. Replaced by a trigger on status_words.';

CREATE OR REPLACE FUNCTION runledger.use_status_words() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Every change writes this row. So a second one waits until the first has ended, and sees its words then; if its
    -- snapshot is older, it is refused with serialization_failure, because it would leave those words out.
    UPDATE runledger.schema_definitions SET defined_at = defined_at;
    EXECUTE format('CREATE OR REPLACE FUNCTION runledger.status_words_in_force() RETURNS jsonb '
                   'LANGUAGE sql STABLE PARALLEL SAFE RETURN %L::jsonb', (
        SELECT jsonb_build_object(
            'meant', coalesce(jsonb_object_agg(w.word, w.status), '{}'),
            'written', coalesce(jsonb_object_agg(w.status, w.word) FILTER (WHERE w.is_written), '{}'),
            'kept', coalesce(jsonb_agg(w.word) FILTER (WHERE w.is_kept), '[]'))
        FROM runledger.status_words AS w));
END
$$;
COMMENT ON FUNCTION runledger.use_status_words() IS
    'Makes status_words_in_force of the content of status_words. Called by adopt, by migrate, and by a trigger on status_words.';

CREATE OR REPLACE FUNCTION runledger.use_changed_status_words() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM runledger.use_status_words();
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION runledger.use_changed_status_words() IS
    'Puts a change of status_words in force, in its own transaction. With its owner''s rights: whoever may write the table need not own the function that is replaced.';

CREATE OR REPLACE FUNCTION runledger.status_meant(p_word text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN runledger.status_words_in_force() -> 'meant' ->> p_word;
COMMENT ON FUNCTION runledger.status_meant(text) IS 'What a status word of the application means; NULL: it is not in status_words.';

CREATE OR REPLACE FUNCTION runledger.handle_of(p_id bigint, p_application_id text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    -- A notification has room for 8000 bytes, a message for less.
    RETURN CASE WHEN octet_length(to_jsonb(p_application_id)::text) <= 1000 THEN to_jsonb(p_application_id)
                ELSE to_jsonb(p_id) END;
COMMENT ON FUNCTION runledger.handle_of(bigint, text) IS
    'The key by which the application knows a row, as messages and notifications name it: a string if its table was adopted with a key of its own, else the number id. The number, too, if the key has more than 1000 bytes as a JSON string.';

CREATE OR REPLACE FUNCTION runledger.keep_adopted_id() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.id IS NULL THEN
        NEW.id := nextval('runledger.generations_ledger_id_seq');
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION runledger.keep_adopted_id() IS
    'Numbers the rows of an adopted table whose key is no number. No identity column does it, because adding one would have rewritten the table.';

CREATE OR REPLACE FUNCTION runledger.keep_adopted_status() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_read boolean;
    words CONSTANT jsonb := runledger.status_words_in_force();
    word CONSTANT text := NEW.application_status::text;
    meant CONSTANT text := words -> 'meant' ->> word;
BEGIN
    -- The application writes its own word; the daemon, and an INSERT into generations itself, write status.
    IF TG_OP = 'INSERT' THEN
        is_read := NEW.status = 'pending';
    ELSE
        is_read := NEW.status IS NOT DISTINCT FROM OLD.status;
    END IF;
    IF is_read THEN
        IF TG_OP = 'INSERT' OR NEW.application_status IS DISTINCT FROM OLD.application_status THEN
            NEW.status := coalesce(meant, NEW.status);
        END IF;
    ELSIF meant IS DISTINCT FROM NEW.status AND NOT coalesce(words -> 'kept' ? word, false) THEN
        NEW.application_status := words -> 'written' ->> NEW.status;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION runledger.keep_adopted_status() IS
    'Reads status from the application''s word when the application writes the word, and writes the word when the daemon writes status: unless the word that is there means that status already, or is to be kept. A word that is not in status_words changes nothing.';

-- The functions below are alike, but for their column and for how its text is read. They are written out: PL/pgSQL can't
-- name a column of NEW by a variable, and by way of jsonb_populate_record each write would copy the whole row, payloads
-- included, as jsonb, a number in a double precision column would be read by other rules, and a text column would lose
-- the quotes of a JSON string.
CREATE OR REPLACE FUNCTION runledger.keep_adopted_cost_usd() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1 AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status NOT IN ('pending', 'processing') THEN
            NEW.cost_usd := coalesce(NEW.cost_usd, runledger.number_said(NEW.application_cost_usd::text));
        END IF;
    ELSIF NEW.cost_usd IS DISTINCT FROM OLD.cost_usd
          AND NEW.cost_usd IS DISTINCT FROM runledger.number_said(NEW.application_cost_usd::text) THEN
        BEGIN
            IF NEW.cost_usd IS NOT NULL THEN
                NEW.application_cost_usd := NEW.cost_usd;
            ELSIF EXISTS (SELECT FROM runledger.settlements AS s
                          WHERE s.generation_id = NEW.id AND s.cost_usd IS NOT NULL AND s.rate_amount IS NOT NULL) THEN
                NEW.application_cost_usd := NULL;  -- Only what a settlement gave is taken back.
            END IF;
        EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
            NEW.application_cost_usd := NULL;  -- Its type has no room for the value.
        END;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION runledger.keep_adopted_cost_usd() IS
    'Takes cost_usd of a row that is inserted as ended from the application''s column, and copies it there when the daemon changes it, rounded to that column''s type; NULL if the type has no room for it. A number is replaced by none only if a settlement had given the row one. What the application writes there later stays there.';

CREATE OR REPLACE FUNCTION runledger.keep_adopted_duration_ms() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1 AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status NOT IN ('pending', 'processing') THEN
            NEW.duration_ms := coalesce(NEW.duration_ms, runledger.number_said(NEW.application_duration_ms::text));
        END IF;
    ELSIF NEW.duration_ms IS DISTINCT FROM OLD.duration_ms
          AND NEW.duration_ms IS DISTINCT FROM runledger.number_said(NEW.application_duration_ms::text) THEN
        BEGIN
            IF NEW.duration_ms IS NOT NULL THEN
                NEW.application_duration_ms := NEW.duration_ms;
            ELSIF EXISTS (SELECT FROM runledger.settlements AS s
                          WHERE s.generation_id = NEW.id AND s.duration_clock <> 'application') THEN
                NEW.application_duration_ms := NULL;  -- Only what a settlement gave is taken back.
            END IF;
        EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
            NEW.application_duration_ms := NULL;  -- Its type has no room for the value.
        END;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION runledger.keep_adopted_duration_ms() IS 'As keep_adopted_cost_usd, for duration_ms.';

CREATE OR REPLACE FUNCTION runledger.keep_adopted_request_timestamp() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' OR NEW.application_request_timestamp IS DISTINCT FROM OLD.application_request_timestamp THEN
        NEW.request_timestamp :=
            coalesce(runledger.time_said(NEW.application_request_timestamp::text), NEW.request_timestamp);
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION runledger.keep_adopted_request_timestamp() IS
    'Takes request_timestamp from the application''s column, in UTC if it has no zone.';

CREATE OR REPLACE FUNCTION runledger.keep_adopted_response_timestamp() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status NOT IN ('pending', 'processing') THEN
            NEW.response_timestamp :=
                coalesce(NEW.response_timestamp, runledger.time_said(NEW.application_response_timestamp::text));
        END IF;
    ELSIF NEW.response_timestamp IS DISTINCT FROM OLD.response_timestamp
          AND NEW.response_timestamp IS DISTINCT FROM runledger.time_said(NEW.application_response_timestamp::text) THEN
        BEGIN
            NEW.application_response_timestamp := NEW.response_timestamp;
        EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
            NEW.application_response_timestamp := NULL;  -- Its type has no room for the value.
        END;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION runledger.keep_adopted_response_timestamp() IS
    'As keep_adopted_cost_usd, for response_timestamp; in UTC if the application''s column has no zone.';

CREATE OR REPLACE FUNCTION runledger.keep_adopted_metadata() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' OR NEW.application_metadata::text IS DISTINCT FROM OLD.application_metadata::text THEN
        NEW.metadata := coalesce(runledger.json_said(NEW.application_metadata::text), NEW.metadata);
    ELSIF NEW.metadata IS DISTINCT FROM OLD.metadata
          AND NEW.metadata IS DISTINCT FROM runledger.json_said(NEW.application_metadata::text) THEN
        BEGIN
            NEW.application_metadata := NEW.metadata;
        EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
            NEW.application_metadata := NULL;  -- Its type has no room for the value.
        END;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION runledger.keep_adopted_metadata() IS
    'Takes metadata from the application''s column, which is no jsonb; and empties this one when the ledger forgets a person.';

CREATE OR REPLACE FUNCTION runledger.keep_adopted_request_payload() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT'
       OR NEW.application_request_payload::text IS DISTINCT FROM OLD.application_request_payload::text THEN
        NEW.request_payload := coalesce(runledger.json_said(NEW.application_request_payload::text), NEW.request_payload);
    ELSIF NEW.request_payload IS DISTINCT FROM OLD.request_payload
          AND NEW.request_payload IS DISTINCT FROM runledger.json_said(NEW.application_request_payload::text) THEN
        BEGIN
            NEW.application_request_payload := NEW.request_payload;
        EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
            NEW.application_request_payload := NULL;  -- Its type has no room for the value.
        END;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION runledger.keep_adopted_request_payload() IS 'As keep_adopted_metadata, for request_payload.';

CREATE OR REPLACE FUNCTION runledger.keep_adopted_response_payload() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status NOT IN ('pending', 'processing') THEN
            NEW.response_payload :=
                coalesce(NEW.response_payload, runledger.json_said(NEW.application_response_payload::text));
        END IF;
    ELSIF NEW.response_payload IS DISTINCT FROM OLD.response_payload
          AND NEW.response_payload IS DISTINCT FROM runledger.json_said(NEW.application_response_payload::text) THEN
        BEGIN
            NEW.application_response_payload := NEW.response_payload;
        EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
            NEW.application_response_payload := NULL;  -- Its type has no room for the value.
        END;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION runledger.keep_adopted_response_payload() IS
    'As keep_adopted_cost_usd, for response_payload and a column that is no jsonb.';
