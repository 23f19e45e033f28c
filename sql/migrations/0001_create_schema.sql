-- The schema, and the functions behind the generated columns of generations.
CREATE SCHEMA IF NOT EXISTS runledger;
COMMENT ON SCHEMA runledger IS
    'ComfyDeploy runs: what was received, how each run stands, what it took and cost, who was told. Written by runledgerd; generations is shared with the application that submits runs.';

-- Both are called for a STORED generated column, so one that raised would refuse the application's INSERT.
CREATE FUNCTION runledger.run_id_of(metadata jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN jsonb_typeof(metadata -> 'run_id') = 'string' AND octet_length(metadata ->> 'run_id') BETWEEN 1 AND 128
            THEN metadata ->> 'run_id'
    END;
COMMENT ON FUNCTION runledger.run_id_of(jsonb) IS
    'metadata.run_id if it is a string of 1 to 128 bytes, else NULL. Never raises.';

CREATE FUNCTION runledger.chat_id_of(metadata jsonb) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN jsonb_typeof(metadata -> 'telegramChatId') IN ('number', 'string')
             AND metadata ->> 'telegramChatId' ~ '^-?[0-9]{1,18}$'
            THEN (metadata ->> 'telegramChatId')::bigint
    END;
COMMENT ON FUNCTION runledger.chat_id_of(jsonb) IS
    'metadata.telegramChatId if it is a number or a string of 1 to 18 digits with an optional minus, else NULL. Never raises.';

CREATE FUNCTION runledger.try_jsonb(body text, OUT value jsonb, OUT reason text)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    value := body::jsonb;
EXCEPTION
    -- Class 22, data exceptions: NaN, \u0000, a lone surrogate, a number beyond numeric; 54: too deep or too large.
    WHEN data_exception OR program_limit_exceeded THEN
        value := NULL;
        reason := SQLSTATE || ': ' || SQLERRM;
END
$$;
COMMENT ON FUNCTION runledger.try_jsonb(text) IS
    'The text as jsonb; or NULL, and the reason why jsonb can''t hold it. Never raises on data.';
