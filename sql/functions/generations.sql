-- The triggers' functions on generations. They fire in the application's transactions, with the rights of their owner.
CREATE OR REPLACE FUNCTION runledger.queue_settlement() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.run_id IS NOT NULL AND runledger.is_forgotten(NEW.run_id) THEN
        -- The application has saved what it had read before. This fires the trigger again, for the pseudonym.
        PERFORM runledger.scrub_generation(NEW.id, TG_OP = 'INSERT');
    ELSIF NEW.run_id IS NOT NULL THEN
        INSERT INTO runledger.settle_queue (run_id) VALUES (NEW.run_id);
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.run_id IS NOT NULL AND OLD.run_id IS DISTINCT FROM NEW.run_id
       AND NOT runledger.is_forgotten(OLD.run_id) THEN
        INSERT INTO runledger.settle_queue (run_id) VALUES (OLD.run_id);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION runledger.queue_settlement() IS
    'Queues the run of a generation that was inserted or whose metadata changed, and the run that it named before, in the application''s own transaction. If the run was forgotten, the row is scrubbed, and names its pseudonym.';

CREATE OR REPLACE FUNCTION runledger.later_than(p_last timestamptz) RETURNS timestamptz
    LANGUAGE sql VOLATILE
    -- A time that nobody has lived to see is an application's slip: nothing can come after it.
    RETURN CASE WHEN p_last < timestamptz '9999-12-31 00:00:00+00'
                THEN greatest(clock_timestamp(), p_last + interval '1 microsecond') ELSE clock_timestamp() END;
COMMENT ON FUNCTION runledger.later_than(timestamptz) IS
    'What updated_at becomes when the ledger changes a row: the clock''s time, or the microsecond after the last one if the clock has gone back. Never raises.';

-- An adopted table may have an updated_at without a zone: it gets the time of the session's zone, as from now().
CREATE OR REPLACE FUNCTION runledger.later_than(p_last timestamp) RETURNS timestamp
    LANGUAGE sql VOLATILE
    RETURN CASE WHEN p_last < timestamp '9999-12-31 00:00:00'
                THEN greatest(clock_timestamp()::timestamp, p_last + interval '1 microsecond')
                ELSE clock_timestamp()::timestamp END;
COMMENT ON FUNCTION runledger.later_than(timestamp) IS
    'The same for an adopted table whose updated_at has no time zone.';

CREATE OR REPLACE FUNCTION runledger.generations_by_key(
    p_key text, OUT generation_id bigint, OUT application_id text, OUT run_id text, OUT matches text)
    RETURNS SETOF record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Without that sequence no row has an application_id, and the column has no index.
    IF to_regclass('runledger.generations_ledger_id_seq') IS NOT NULL THEN
        BEGIN
            RETURN QUERY EXECUTE format(
                'SELECT k.generation_id, k.application_id::text, k.run_id, ''application_id'' '
                'FROM runledger.generation_keys_v1 AS k WHERE k.application_id = CAST ($1 AS %s)',
                -- With -1 a type of a length is one of any length: nothing is cut off.
                (SELECT format_type(a.atttypid, -1) FROM pg_attribute AS a
                 WHERE a.attrelid = 'runledger.generation_keys_v1'::regclass AND a.attname = 'application_id'))
                USING p_key;
        EXCEPTION WHEN data_exception THEN
            NULL;  -- No key of that type.
        END;
    END IF;
    IF (CASE WHEN p_key ~ '^(0|-?[1-9][0-9]{0,18})$' THEN p_key::numeric END)
           BETWEEN -9223372036854775808 AND 9223372036854775807 THEN
        RETURN QUERY SELECT k.generation_id, k.application_id::text, k.run_id, 'generation_id'
                     FROM runledger.generation_keys_v1 AS k WHERE k.generation_id = p_key::bigint;
    END IF;
END
$$;
COMMENT ON FUNCTION runledger.generations_by_key(text) IS
    'The generations that a key names: first the one with this key of the application (matches is application_id), then the one with this number of the ledger (generation_id). They can be two, if the application''s keys look like numbers. For whoever may read generation_keys_v1.';
