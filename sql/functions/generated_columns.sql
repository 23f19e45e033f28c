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

CREATE OR REPLACE FUNCTION runledger.word_at(metadata jsonb, key text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN jsonb_typeof(runledger.said_in(metadata) -> key) = 'string'
             AND octet_length(runledger.said_in(metadata) ->> key) BETWEEN 1 AND 128
            THEN runledger.said_in(metadata) ->> key
    END;
COMMENT ON FUNCTION runledger.word_at(jsonb, text) IS
    'The value of this key of metadata if it is a string of 1 to 128 bytes, else NULL. Never raises.';

-- PostgreSQL puts an SQL function into a statement as an expression. The expression of a generated column it plans anew
-- for each INSERT, even a prepared one: with six of them, that took most of an INSERT's time. A function in PL/pgSQL keeps
-- its plan for the session.
CREATE OR REPLACE FUNCTION runledger.run_id_of(metadata jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN runledger.word_at(metadata, 'run_id');
END
$$;
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
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE
        -- Most often it is one number. The length comes first: a pattern is not tried on a text of megabytes.
        WHEN octet_length(runledger.said_in(metadata) ->> 'telegramChatId') <= 64
             AND runledger.said_in(metadata) ->> 'telegramChatId'
             ~ CASE jsonb_typeof(runledger.said_in(metadata) -> 'telegramChatId')
                   WHEN 'number' THEN '^-?[0-9]{1,18}([.]0+)?$' WHEN 'string' THEN '^-?[0-9]{1,18}$' END
            THEN split_part(runledger.said_in(metadata) ->> 'telegramChatId', '.', 1)::bigint
        WHEN jsonb_typeof(runledger.said_in(metadata) -> 'telegramChatId') = 'array'
             OR jsonb_typeof(runledger.said_in(metadata) -> 'notificationContext') = 'object'
            THEN runledger.first_chat_of(metadata)
    END;
END
$$;
COMMENT ON FUNCTION runledger.chat_id_of(jsonb) IS
    'The first chat that metadata names by a number, in telegramChatId or notificationContext.chatId: a whole number (42, 42.0) or a string of digits, of 1 to 18 digits with an optional minus; else NULL. Never raises.';

-- Which keys of metadata a column of grouping is taken from. This function is the setting, which use_metadata_keys
-- changes: so it is made once, and not replaced. It is a function because a generated column may depend on nothing that
-- can change by itself, such as a table or a parameter.
DO $$
BEGIN
    IF to_regprocedure('runledger.metadata_keys(text)') IS NULL THEN
        CREATE FUNCTION runledger.metadata_keys(p_column text) RETURNS text[]
            LANGUAGE sql IMMUTABLE PARALLEL SAFE
            RETURN CASE p_column
                WHEN 'group_key' THEN '{groupId,parentRunId}'::text[]
                WHEN 'group_size' THEN '{groupSize}'::text[]
                WHEN 'account_key' THEN '{accountId}'::text[]
                WHEN 'tool_key' THEN '{tool}'::text[]
            END;
    END IF;
END
$$;
COMMENT ON FUNCTION runledger.metadata_keys(text) IS
    'The keys of metadata from which group_key, group_size, account_key or tool_key is taken: the first of them that has a usable value. Changed by runledger.use_metadata_keys.';

CREATE OR REPLACE FUNCTION runledger.size_at(metadata jsonb, key text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN runledger.said_in(metadata) ->> key
             ~ CASE jsonb_typeof(runledger.said_in(metadata) -> key)
                   WHEN 'number' THEN '^[1-9][0-9]{0,5}(\.0+)?$' WHEN 'string' THEN '^[1-9][0-9]{0,5}$' END
            THEN split_part(runledger.said_in(metadata) ->> key, '.', 1)::integer
    END;
COMMENT ON FUNCTION runledger.size_at(jsonb, text) IS
    'The value of this key of metadata if it is a whole number from 1 to 999999 (3, 3.0) or a string of its digits, else NULL. Never raises.';

CREATE OR REPLACE FUNCTION runledger.group_key_of(metadata jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN coalesce(runledger.word_at(metadata, (runledger.metadata_keys('group_key'))[1]),
                    runledger.word_at(metadata, (runledger.metadata_keys('group_key'))[2]),
                    runledger.word_at(metadata, (runledger.metadata_keys('group_key'))[3]));
END
$$;
COMMENT ON FUNCTION runledger.group_key_of(jsonb) IS
    'The group of a generation: the first usable value of runledger.metadata_keys(''group_key''). NULL: none. Never raises.';

CREATE OR REPLACE FUNCTION runledger.group_size_of(metadata jsonb) RETURNS integer
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN coalesce(runledger.size_at(metadata, (runledger.metadata_keys('group_size'))[1]),
                    runledger.size_at(metadata, (runledger.metadata_keys('group_size'))[2]),
                    runledger.size_at(metadata, (runledger.metadata_keys('group_size'))[3]));
END
$$;
COMMENT ON FUNCTION runledger.group_size_of(jsonb) IS
    'How many members the generation''s group will have: the first usable value of runledger.metadata_keys(''group_size''). NULL: none. Never raises.';

CREATE OR REPLACE FUNCTION runledger.account_key_of(metadata jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN coalesce(runledger.word_at(metadata, (runledger.metadata_keys('account_key'))[1]),
                    runledger.word_at(metadata, (runledger.metadata_keys('account_key'))[2]),
                    runledger.word_at(metadata, (runledger.metadata_keys('account_key'))[3]));
END
$$;
COMMENT ON FUNCTION runledger.account_key_of(jsonb) IS
    'The account of a generation: the first usable value of runledger.metadata_keys(''account_key''). NULL: none. Never raises.';

CREATE OR REPLACE FUNCTION runledger.tool_key_of(metadata jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN coalesce(runledger.word_at(metadata, (runledger.metadata_keys('tool_key'))[1]),
                    runledger.word_at(metadata, (runledger.metadata_keys('tool_key'))[2]),
                    runledger.word_at(metadata, (runledger.metadata_keys('tool_key'))[3]));
END
$$;
COMMENT ON FUNCTION runledger.tool_key_of(jsonb) IS
    'The tool of a generation: the first usable value of runledger.metadata_keys(''tool_key''). NULL: none. Never raises.';

CREATE OR REPLACE FUNCTION runledger.keep_generated_columns() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.run_id := runledger.run_id_of(NEW.metadata);
    NEW.telegram_chat_id := runledger.chat_id_of(NEW.metadata);
    NEW.group_key := runledger.group_key_of(NEW.metadata);
    NEW.group_size := runledger.group_size_of(NEW.metadata);
    NEW.account_key := runledger.account_key_of(NEW.metadata);
    NEW.tool_key := runledger.tool_key_of(NEW.metadata);
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION runledger.keep_generated_columns() IS
    'Sets run_id, telegram_chat_id, group_key, group_size, account_key and tool_key of an adopted table. Elsewhere they are generated columns, but adding those would have rewritten the table.';
