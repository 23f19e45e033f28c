-- The functions in generations' generated columns. They must exist before the table, so migrate runs this file before
-- the versioned ones, too. If a function raised, the application's INSERT would be refused.
CREATE OR REPLACE FUNCTION runledger.run_id_of(metadata jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN jsonb_typeof(metadata -> 'run_id') = 'string' AND octet_length(metadata ->> 'run_id') BETWEEN 1 AND 128
            THEN metadata ->> 'run_id'
    END;
COMMENT ON FUNCTION runledger.run_id_of(jsonb) IS
    'metadata.run_id if it is a string of 1 to 128 bytes, else NULL. Never raises.';

CREATE OR REPLACE FUNCTION runledger.chat_id_of(metadata jsonb) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN jsonb_typeof(metadata -> 'telegramChatId') IN ('number', 'string')
             AND metadata ->> 'telegramChatId' ~ '^-?[0-9]{1,18}$'
            THEN (metadata ->> 'telegramChatId')::bigint
    END;
COMMENT ON FUNCTION runledger.chat_id_of(jsonb) IS
    'metadata.telegramChatId if it is a number or a string of 1 to 18 digits with an optional minus, else NULL. Never raises.';

CREATE OR REPLACE FUNCTION runledger.keep_generated_columns() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.run_id := runledger.run_id_of(NEW.metadata);
    NEW.telegram_chat_id := runledger.chat_id_of(NEW.metadata);
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION runledger.keep_generated_columns() IS
    'Sets run_id and telegram_chat_id of an adopted table. Elsewhere they are generated columns, but adding those would have rewritten the table.';
