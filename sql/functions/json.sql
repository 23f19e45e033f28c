-- Converts text to jsonb. The sender may have written values that jsonb can't hold.
CREATE OR REPLACE FUNCTION runledger.try_jsonb(body text, OUT value jsonb, OUT reason text)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
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
    'The text as jsonb; or NULL, with the reason why jsonb can''t hold it. Never raises on data.';

CREATE OR REPLACE FUNCTION runledger.try_jsonb_all(p_texts text[], OUT value jsonb, OUT reason text)
    RETURNS SETOF record LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    converted jsonb[];
BEGIN
    BEGIN
        converted := ARRAY(SELECT given.body::jsonb FROM unnest(p_texts) WITH ORDINALITY AS given (body, place)
                           ORDER BY given.place);
    EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
        RETURN QUERY
            SELECT attempt.value, attempt.reason
            FROM unnest(p_texts) WITH ORDINALITY AS given (body, place), runledger.try_jsonb(given.body) AS attempt
            ORDER BY given.place;
        RETURN;
    END;
    RETURN QUERY SELECT given.body, NULL::text FROM unnest(converted) AS given (body);
END
$$;
COMMENT ON FUNCTION runledger.try_jsonb_all(text[]) IS
    'try_jsonb for each, in order. In the usual case, in which jsonb can hold them all, this is one conversion.';
