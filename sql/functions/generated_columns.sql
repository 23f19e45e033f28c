-- The functions in generations' generated columns. They must exist before the table, so migrate runs this file before
-- the versioned ones, too. If a function raised, the application's INSERT would be refused.
CREATE OR REPLACE FUNCTION runledger.decoded(encoded jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (encoded #>> '{}')::jsonb;
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION runledger.decoded(jsonb) IS
    'The JSON that this JSON string holds; NULL if it holds none that jsonb can hold. Never raises.';

CREATE OR REPLACE FUNCTION runledger.said_in(metadata jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN jsonb_typeof(metadata) = 'string' THEN runledger.decoded(metadata) ELSE metadata END;
COMMENT ON FUNCTION runledger.said_in(jsonb) IS
    'metadata; if the application has encoded it twice, so that it is a string, the JSON in the string. Never raises.';

CREATE OR REPLACE FUNCTION runledger.run_id_of(metadata jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN jsonb_typeof(runledger.said_in(metadata) -> 'run_id') = 'string'
             AND octet_length(runledger.said_in(metadata) ->> 'run_id') BETWEEN 1 AND 128
            THEN runledger.said_in(metadata) ->> 'run_id'
    END;
COMMENT ON FUNCTION runledger.run_id_of(jsonb) IS
    'metadata.run_id if it is a string of 1 to 128 bytes, else NULL. Never raises.';

CREATE OR REPLACE FUNCTION runledger.first_chat_of(metadata jsonb) RETURNS bigint
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT whom.chat_id FROM runledger.recipients_of(metadata) AS whom
            WHERE whom.chat_id IS NOT NULL AND whom.recipient NOT LIKE '@%' LIMIT 1);
END
$$;
COMMENT ON FUNCTION runledger.first_chat_of(jsonb) IS
    'The first chat that metadata names by a number; NULL: none. Never raises.';

CREATE OR REPLACE FUNCTION runledger.chat_id_of(metadata jsonb) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        -- Most often it is one number. The length comes first: a pattern is not tried on a text of megabytes.
        WHEN octet_length(runledger.said_in(metadata) ->> 'telegramChatId') <= 64
             AND runledger.said_in(metadata) ->> 'telegramChatId'
             ~ CASE jsonb_typeof(runledger.said_in(metadata) -> 'telegramChatId')
                   WHEN 'number' THEN '^-?[0-9]{1,18}(\.0+)?$' WHEN 'string' THEN '^-?[0-9]{1,18}$' END
            THEN split_part(runledger.said_in(metadata) ->> 'telegramChatId', '.', 1)::bigint
        WHEN jsonb_typeof(runledger.said_in(metadata) -> 'telegramChatId') = 'array'
             OR jsonb_typeof(runledger.said_in(metadata) -> 'notificationContext') = 'object'
            THEN runledger.first_chat_of(metadata)
    END;
COMMENT ON FUNCTION runledger.chat_id_of(jsonb) IS
    'The first chat that metadata names by a number, in telegramChatId or notificationContext.chatId: a whole number (42, 42.0) or a string of digits, of 1 to 18 digits with an optional minus; else NULL. Never raises.';

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
